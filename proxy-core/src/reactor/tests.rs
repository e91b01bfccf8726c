use super::*;
use crate::socket::Socket;
use crate::stream::read;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// A socket that does not block, and its peer.
fn pair() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test of what is below the dialler")]
    let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (near, _) = listener.accept().unwrap();
    near.set_nonblocking(true).unwrap();
    (near.into(), far)
}

/// Until the reactor has been asked for all that had happened when this was called.
async fn all_is_told() {
    let (near, mut far) = pair();
    let socket = Socket::tcp(near).unwrap();
    far.write_all(b"!").unwrap();
    read(&socket, &mut [0; 1]).await.unwrap();
}

fn one_thread() -> runtime::Runtime {
    runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn echo_once() {
    let (near, mut far) = pair();
    let socket = Socket::tcp(near).unwrap();
    let writing = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        far.write_all(b"late").unwrap();
    };
    let mut buffer = [0; 8];
    let (read, ()) = tokio::join!(read(&socket, &mut buffer), writing);
    assert_eq!(read.unwrap(), 4);
}

/// As when a child process has a descriptor for a moment after it was closed here: the kernel goes on reporting it.
#[tokio::test]
async fn an_event_of_a_descriptors_former_owner_is_not_its_next_ones() {
    let (near, mut far) = pair();
    drop(register(&near).unwrap());
    let next = here().unwrap().slots.lock().insert(near.as_raw_fd()).unwrap();
    far.write_all(b"!").unwrap();
    all_is_told().await;
    assert_eq!(next.state.lock().seen(), Event::NONE);
}

#[tokio::test]
async fn an_event_between_a_call_and_its_answer_is_kept() {
    let (near, mut far) = pair();
    let place = register(&near).unwrap();
    all_is_told().await;
    assert!(!place.lock().has(Event::READABLE));
    far.write_all(b"!").unwrap();
    // The kernel knows of it, the reactor does not: whoever says now that nothing was there is right about the past only.
    place.lock().would_block(Event::READABLE);
    all_is_told().await;
    assert!(place.lock().has(Event::READABLE));
}

#[tokio::test]
async fn a_short_read_is_no_end_and_an_end_is_not_forgotten_with_it() {
    let (near, mut far) = pair();
    let place = register(&near).unwrap();
    far.write_all(b"!").unwrap();
    far.shutdown(std::net::Shutdown::Write).unwrap();
    all_is_told().await;
    place.lock().exhausted(Event::READABLE);
    assert!(place.lock().has(Event::READABLE), "the end is still to be read");
}

#[test]
fn each_runtime_of_a_thread_has_its_own() {
    let (first, second) = (one_thread(), one_thread());
    first.block_on(echo_once());
    let outlives = second.block_on(async {
        echo_once().await;
        Socket::tcp(pair().0).unwrap()
    });
    first.block_on(echo_once());
    assert_eq!(HERE.with_borrow(Vec::len), 2);
    drop(second);
    first.block_on(echo_once());
    drop(outlives);
    one_thread().block_on(echo_once());
    assert_eq!(HERE.with_borrow(Vec::len), 2, "whose runtime has gone is forgotten");
}

#[test]
fn a_socket_is_woken_when_its_runtime_has_many_threads() {
    let many = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let tasks: Vec<_> = (0..64).map(|_| many.spawn(echo_once())).collect();
    for task in tasks {
        many.block_on(task).unwrap();
    }
}

#[test]
fn without_a_runtime_it_is_refused() {
    assert!(register(&pair().0).is_err());
}

#[test]
fn the_table_is_as_small_as_it_can_be_when_a_crowd_has_gone() {
    let mut slots = Slots::new();
    for descriptor in 3..20_000 {
        slots.insert(descriptor).unwrap();
    }
    for descriptor in (10..20_000).rev() {
        slots.remove(descriptor);
    }
    assert_eq!(slots.by_descriptor.len(), 10);
    assert!(slots.by_descriptor.capacity() <= Slots::FEW);
    assert!(slots.find(9).is_some() && slots.find(10).is_none());
}
