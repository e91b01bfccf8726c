//! What `/proc` says: the descriptors of this process, and the kernel's TCP tables as text.

use std::ffi::CStr;
use std::io::{self, BufRead};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{OwnedFd, RawFd};

use rustix::fs::{CWD, Mode, OFlags, RawDir, openat, readlinkat_raw};

use super::kernel::{Row, TcpState};

const DESCRIPTORS: &CStr = c"/proc/self/fd";

/// The attribute in which the kernel names a socket's protocol (`sockfs_xattr_get` in net/socket.c, since Linux 3.6;
/// what lsof uses).
const PROTOCOL: &CStr = c"system.sockprotoname";

/// Room for directory entries: of 32 bytes each here, so a thousand a call.
const DIRECTORY_BYTES: usize = 32 * 1024;

/// Room for a link's text. Only `socket:[…]` is of interest, 29 bytes at most; a longer one is cut, and is none.
const LINK_BYTES: usize = 32;

/// Every descriptor that is a socket, with its inode.
pub(super) fn sockets() -> io::Result<Vec<(RawFd, u64)>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory: OwnedFd = openat(CWD, DESCRIPTORS, flags, Mode::empty())?;
    let mut buffer = vec![MaybeUninit::uninit(); DIRECTORY_BYTES];
    let mut entries = RawDir::new(&directory, &mut buffer);
    let mut sockets = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        let Some(fd) = name.to_str().ok().and_then(|text| text.parse().ok()) else { continue };
        let mut link = [MaybeUninit::uninit(); LINK_BYTES];
        // A descriptor that was closed since the directory was read is not ours any more.
        if let Ok((text, _)) = readlinkat_raw(&directory, name, &mut link) {
            sockets.extend(inode_in(text).map(|inode| (fd, inode)));
        }
    }
    Ok(sockets)
}

/// The inode that `fd` has now, if it is a socket.
fn inode_of(fd: RawFd) -> Option<u64> {
    let mut link = [MaybeUninit::uninit(); LINK_BYTES];
    readlinkat_raw(CWD, format!("/proc/self/fd/{fd}"), &mut link).ok().and_then(|(text, _)| inode_in(text))
}

/// `socket:[123]` → 123.
fn inode_in(link: &[u8]) -> Option<u64> {
    decimal(link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?)
}

/// What a socket is that is in no TCP table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unlisted {
    /// TCP, and in state CLOSE.
    ClosedTcp,
    /// Of another protocol, or unknown.
    Other,
    /// It has been closed, or its descriptor is another's by now.
    Gone,
}

/// What the socket `inode` behind `fd` is, which is in no TCP table.
pub(super) fn unlisted(fd: RawFd, inode: u64) -> Unlisted {
    let mut name = [0_u8; 32];
    let length = rustix::fs::getxattr(format!("/proc/self/fd/{fd}"), PROTOCOL, &mut name[..]);
    // Asked last, so that the name is that of this very socket.
    if inode_of(fd) != Some(inode) {
        return Unlisted::Gone;
    }
    match length {
        Ok(_) if name.starts_with(b"TCP\0") || name.starts_with(b"TCPv6\0") => Unlisted::ClosedTcp,
        Ok(_) | Err(_) => Unlisted::Other,
    }
}

/// Calls `each` for every socket in a table that looks as `/proc/net/tcp` or `/proc/net/tcp6`. Lines that do not look so
/// (the heading) are passed over.
///
/// # Errors
/// What `table` says.
pub fn read_table(mut table: impl BufRead, mut each: impl FnMut(Row)) -> io::Result<()> {
    let mut line = Vec::with_capacity(256);
    loop {
        line.clear();
        if table.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if let Some(row) = row(&line) {
            each(row);
        }
    }
}

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …`
fn row(line: &[u8]) -> Option<Row> {
    let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).skip(1);
    let (local, remote) = (address(fields.next()?)?, address(fields.next()?)?);
    let state = TcpState::from_code(u8::try_from(hex(fields.next()?)?).ok()?)?;
    Some(Row { state, inode: decimal(fields.nth(5)?)?, local, remote })
}

/// `0100007F:A03C` → 127.0.0.1:41020. The kernel prints the words of an address, each in the machine's byte order.
fn address(text: &[u8]) -> Option<SocketAddr> {
    let (words, port) = text.split_at_checked(text.len().checked_sub(5)?)?;
    let port = u16::try_from(hex(port.strip_prefix(b":")?)?).ok()?;
    let word = |at: usize| words.get(at..at + 8).and_then(hex).map(u32::to_ne_bytes);
    let ip = match words.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut octets = [0; 16];
            for (octets, at) in octets.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
                octets.copy_from_slice(&word(at)?);
            }
            IpAddr::V6(Ipv6Addr::from(octets)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn hex(text: &[u8]) -> Option<u32> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let fits = !text.is_empty() && text.len() <= 8;
    fits.then(|| text.iter().try_fold(0, |sum: u32, byte| Some(sum << 4 | digit(*byte)?))).flatten()
}

fn decimal(text: &[u8]) -> Option<u64> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let add = |sum: u64, byte: &u8| sum.checked_mul(10)?.checked_add(digit(*byte)?);
    (!text.is_empty()).then(|| text.iter().try_fold(0, add)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 124 1 00000000e210365c 100 0 0 10 0
   1: 0100007F:A03C 0100007F:B563 06 00000000:00000000 03:00000200 00000000     0        0 0 3 00000000f8219c1e
   2: 0000000000000000FFFF00000100007F:1F90 B80D01200000000000000000010000AB:0050 01 00000000:00000000 00:00000000 00000000  1000        0 987654 1 0 20 4 30 10 -1
";

    #[test]
    #[cfg(target_endian = "little")]
    fn the_table_of_the_kernel() {
        let mut rows = Vec::new();
        read_table(TABLE.as_bytes(), |row| rows.push(format!("{row:?}"))).unwrap();
        insta::assert_snapshot!(rows.join("\n"), @r"
        Row { state: Listen, inode: 124, local: 0.0.0.0:2024, remote: 0.0.0.0:0 }
        Row { state: TimeWait, inode: 0, local: 127.0.0.1:41020, remote: 127.0.0.1:46435 }
        Row { state: Established, inode: 987654, local: 127.0.0.1:8080, remote: [2001:db8::ab00:1]:80 }
        ");
    }

    #[test]
    fn links_of_sockets_and_of_others() {
        assert_eq!(inode_in(b"socket:[18446744073709551615]"), Some(u64::MAX));
        for other in
            [&b"socket:[]"[..], b"socket:[1", b"pipe:[12]", b"/dev/null", b"socket:[99999999999999999999]"]
        {
            assert_eq!(inode_in(other), None);
        }
    }

    proptest! {
        #[test]
        fn whatever_a_table_holds_it_is_read_or_passed_over(table in proptest::collection::vec(any::<u8>(), 0..600)) {
            read_table(table.as_slice(), |_| ()).unwrap();
        }

        #[test]
        fn any_row_is_read_as_it_was_written(v4: bool, ip: [u32; 4], port: u16, state in 1_u8..=12, inode: u64) {
            let words: String = ip.iter().take(if v4 { 1 } else { 4 }).map(|word| format!("{word:08X}")).collect();
            let line = format!("9: {words}:{port:04X} {words}:{port:04X} {state:02X} 0:0 00:0 0 0 0 {inode} 1\n");
            let mut rows = Vec::new();
            read_table(line.as_bytes(), |row| rows.push(row)).unwrap();
            prop_assert_eq!(rows.len(), 1);
            prop_assert_eq!((rows[0].inode, rows[0].local.port(), rows[0].remote), (inode, port, rows[0].local));
            prop_assert_eq!(Some(rows[0].state), TcpState::from_code(state));
        }
    }
}
