//! A network namespace of its own for a whole run, in which another congestion control is the default: for the load, its
//! backends and every proxy alike, and for nobody else on the machine.

use std::fs;
use std::io;

use anyhow::Context as _;
use nix::sched::{CloneFlags, unshare};
use proxy_core::congestion::{Algorithm, permitted};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, recv, send, socket};

/// The default of whoever asks: of the namespace that the thread is in.
const DEFAULT: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

/// Under which congestion control is measured.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct Options {
    /// Measure in a network namespace of its own with this congestion control as the default, such as reno. Needs root.
    #[arg(long, value_name = "NAME")]
    congestion: Option<Algorithm>,
}

impl Options {
    /// Takes this thread, and all that it starts from now on, to where it is to be measured. So nothing else may run yet.
    /// What that is, for the report.
    pub(crate) fn enter(self) -> anyhow::Result<String> {
        let Some(name) = self.congestion else {
            let default = fs::read_to_string(DEFAULT).unwrap_or_default();
            let default = Some(default.trim()).filter(|name| !name.is_empty()).unwrap_or("unknown");
            return Ok(format!("{default}, the system's default"));
        };
        // While it is sure to be readable.
        let permitted = permitted().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        unshare(CloneFlags::CLONE_NEWNET).map_err(io::Error::from).context(
            "--congestion needs a network namespace of its own, which is not granted: run it as root, in a container with CAP_SYS_ADMIN",
        )?;
        raise_loopback().context("cannot raise the loopback interface of the namespace")?;
        fs::write(DEFAULT, name.as_str()).with_context(|| {
            format!(
                "--congestion {name}: this kernel does not have it, or not for every namespace; it permits {permitted} \
                 (net.ipv4.tcp_allowed_congestion_control, to which root may add others)"
            )
        })?;
        Ok(format!("{name}, in a network namespace of its own"))
    }
}

/// What `ip link set lo up` does: one message of rtnetlink(7), and its answer.
fn raise_loopback() -> io::Result<()> {
    const NEW_LINK: u16 = 16;
    const REQUEST_AND_ACKNOWLEDGE: u16 = 1 | 4;
    /// The first interface of every namespace.
    const LOOPBACK: u32 = 1;
    const UP: u32 = 1;
    const LENGTH: u32 = 32;
    let link = socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    let mut message = LENGTH.to_ne_bytes().to_vec();
    message.extend([NEW_LINK, REQUEST_AND_ACKNOWLEDGE].map(u16::to_ne_bytes).concat());
    // Its number, and the kernel as whom it is for; then the interface, its flags, and which of them are meant.
    message.extend([1, 0, 0, LOOPBACK, UP, UP].map(u32::to_ne_bytes).concat());
    send(&link, &message, SendFlags::empty())?;
    let mut answer = [0; 128];
    let (_, length) = recv(&link, &mut answer, RecvFlags::empty())?;
    // Behind the header: 0, or what went wrong, negative.
    match answer.get(..length).and_then(|answer| answer.get(16..20)?.try_into().ok()).map(i32::from_ne_bytes)
    {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(-error)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entered(name: &str) -> anyhow::Result<String> {
        Options { congestion: Some(name.parse().unwrap()) }.enter()
    }

    /// In a thread of its own, which alone is there.
    fn inside<T: Send>(what: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| scope.spawn(what).join().unwrap())
    }

    #[test]
    fn without_a_name_nothing_changes_and_the_default_is_told() {
        let default = fs::read_to_string(DEFAULT).unwrap();
        let told = inside(|| Options::default().enter().unwrap());
        assert_eq!(told, format!("{}, the system's default", default.trim()));
    }

    #[test]
    fn in_a_namespace_loopback_works_and_the_default_is_another() {
        let outside = fs::read_to_string(DEFAULT).unwrap();
        inside(|| {
            let told = match entered("reno") {
                Ok(told) => told,
                Err(refused) => {
                    assert!(format!("{refused:#}").contains("run it as root"), "{refused:#}");
                    return println!("skipped: {refused:#}");
                }
            };
            assert_eq!(told, "reno, in a network namespace of its own");
            assert_eq!(fs::read_to_string(DEFAULT).unwrap(), "reno\n");
            for loopback in ["127.0.0.1:0", "127.0.0.200:0", "[::1]:0"] {
                std::net::TcpListener::bind(loopback).unwrap();
            }
            let error = format!("{:#}", entered("no-such-thing").unwrap_err());
            assert!(error.contains("--congestion no-such-thing: ") && error.contains("reno"), "{error}");
        });
        assert_eq!(fs::read_to_string(DEFAULT).unwrap(), outside, "nobody else is touched");
    }
}
