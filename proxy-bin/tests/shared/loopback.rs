//! What a test has on the loopback interface beside the proxy.

use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// A backend that says whatever it hears, for as long as the test runs.
pub(crate) fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                // A client that resets is a client that has gone.
                drop(std::io::copy(&mut &stream, &mut &stream));
                drop(stream.shutdown(Shutdown::Write));
            });
        }
    });
    addr
}

/// A port of 127.0.0.1 that nobody listens on, never the same twice: below those that the kernel gives to outgoing
/// connections, so that none of those takes it between our look and its use.
pub(crate) fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() * 67;
    loop {
        let offset = (start + u32::from(GIVEN.fetch_add(1, Ordering::Relaxed))) % 16_000;
        let port = 12_000 + u16::try_from(offset).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
