//! Reads of Unix sockets that come short although there is more: no event tells of it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

use std::os::fd::AsFd;
use std::time::Duration;

use proxy_core::stream::read;
use proxy_core::{Dial, Endpoint, TcpDialer};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

async fn pair(name: &str) -> (proxy_core::Socket, std::os::unix::net::UnixStream) {
    let path = std::env::temp_dir().join(format!("smartproxy-{name}-{}.sock", std::process::id()));
    drop(std::fs::remove_file(&path));
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let near = TcpDialer::default().dial((&Endpoint::Unix(path.clone())).into()).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    (near, listener.accept().unwrap().0)
}

async fn gets(near: &proxy_core::Socket, expected: &[u8]) {
    let (mut got, mut buf) = (Vec::new(), [0; 64]);
    while got.len() < expected.len() {
        let n = tokio::time::timeout(Duration::from_secs(5), read(near, &mut buf))
            .await
            .unwrap_or_else(|_| panic!("a lost wake-up after {:?}", String::from_utf8_lossy(&got)))
            .unwrap();
        assert!(n > 0);
        got.extend_from_slice(&buf[..n]);
    }
    assert_eq!(got, expected);
}

#[tokio::test]
async fn what_is_behind_a_passed_descriptor_does_not_wait_for_more() {
    let (near, far) = pair("fd").await;
    let iov = [std::io::IoSlice::new(b"abc")];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [far.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(&far, &iov, &mut control, SendFlags::empty()).unwrap();
    std::io::Write::write_all(&mut &far, b"def").unwrap();
    gets(&near, b"abcdef").await;
}

#[tokio::test]
async fn what_is_behind_an_urgent_byte_of_a_unix_socket_does_not_wait_for_more() {
    let (near, far) = pair("oob").await;
    rustix::net::send(&far, b"abc", SendFlags::empty()).unwrap();
    rustix::net::send(&far, b"!", SendFlags::OOB).unwrap();
    rustix::net::send(&far, b"def", SendFlags::empty()).unwrap();
    gets(&near, b"abcdef").await;
}
