//! A backend that says one byte to whoever comes, so that it is seen which one it was.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use chain_harness::client_hello;

/// One of them. It lives as long as the program.
pub(super) struct Backend {
    pub(super) addr: SocketAddr,
    pub(super) says: u8,
}

impl Backend {
    pub(super) fn start(says: u8) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let addr = listener.local_addr()?;
        std::thread::spawn(move || {
            for client in listener.incoming() {
                client.and_then(|client| greet(client, says)).unwrap_or_default();
            }
        });
        Ok(Self { addr, says })
    }
}

/// Hears the hello, says its byte, and ends.
fn greet(mut client: TcpStream, says: u8) -> io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    client.read(&mut [0; 1024]).map(|_| ())?;
    client.write_all(&[says])
}

/// How long one connection may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client hears that asks for `name` at `addr`.
pub(super) fn heard(addr: SocketAddr, name: &str) -> io::Result<u8> {
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&client_hello(name))?;
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    Ok(byte[0])
}
