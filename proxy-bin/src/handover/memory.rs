//! Bytes that are handed over as a descriptor, beside the sockets: a file in memory that has no name.
//!
//! A process that knows nothing of them closes the descriptor, as it does with a socket that is for no listener.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, memfd_create};

/// Bytes as a descriptor; `name` is seen in `/proc` alone.
///
/// # Errors
/// Where the system gives no memory, or no descriptor.
pub(crate) fn as_descriptor(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(name, MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file.into())
}

/// The bytes of a descriptor, wherever somebody has read to.
///
/// # Errors
/// Where it is no such file, or has more than `most` bytes.
pub(crate) fn of_descriptor(descriptor: OwnedFd, most: usize) -> io::Result<Vec<u8>> {
    let file = File::from(descriptor);
    let about = file.metadata()?;
    let length = usize::try_from(about.len()).unwrap_or(usize::MAX);
    if !about.is_file() || length > most {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is no file in memory of a size that may be",
        ));
    }
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_is_read_and_nothing_else_is() {
        let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let handed = || as_descriptor("test", &bytes).unwrap();
        assert_eq!(of_descriptor(handed(), bytes.len()).unwrap(), bytes);
        assert!(of_descriptor(handed(), bytes.len() - 1).is_err(), "too large");
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(of_descriptor(socket.into(), usize::MAX).is_err(), "no file");
    }
}
