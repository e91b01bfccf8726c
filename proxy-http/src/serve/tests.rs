//! Conversations over a stream in memory, on a paused clock.

use super::*;
use crate::page::page;
use proxy_conn::{Opening, Tracker};
use proxy_core::stream::{read, shutdown, write_all};
use proxy_core::{Bound, PeerAddr, mem};
use std::future::pending;
use std::time::Duration;

struct Echo;

impl Handler for Echo {
    type Tunnel = ();

    fn handle(&self, asked: Asked) -> impl Future<Output = Told<()>> + Send {
        std::future::ready(page(200, asked.request.uri().path()).into())
    }

    fn leaves(&self) -> impl Future<Output = ()> + Send {
        pending()
    }
}

/// What a client that says this gets, and how its connection ended; one that does not end stays.
async fn told(said: &str, ends: bool) -> (String, Verdict) {
    let tracker = Tracker::new(1, ());
    let conn = tracker.open(0, Opening::new(PeerAddr::new(([127, 0, 0, 1], 1).into()), "test"));
    conn.enter(Phase::Dial, Instant::now(), DeadlineKind::Dial).unwrap();
    let (near, far) = mem::pair(4096);
    write_all(&far, said.as_bytes()).await.unwrap();
    if ends {
        shutdown(&far).await.unwrap();
    }
    let (echo, options) = (Echo, Options::default());
    let reading = async {
        let (mut all, mut buffer) = (Vec::new(), [0; 512]);
        while let Ok(n @ 1..) = read(&far, &mut buffer).await {
            all.extend_from_slice(&buffer[..n]);
        }
        drop(far);
        String::from_utf8(all).unwrap()
    };
    let serving = async {
        let served = serve(&conn, &near, ReadAhead::default(), &echo, &options).await;
        drop(near);
        served
    };
    let (told, served) = tokio::join!(reading, serving);
    let Served::Ended(verdict) = served else { panic!("nobody has switched") };
    (told, verdict)
}

fn statuses(told: &str) -> Vec<&str> {
    told.match_indices("HTTP/1.1 ").filter_map(|(at, _)| told.get(at + 9..at + 12)).collect()
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn requests_are_answered_in_order_and_an_end_between_them_is_one_in_order() {
    let (told, verdict) = told(&GET.repeat(3), true).await;
    assert_eq!(statuses(&told), ["200"; 3]);
    assert_eq!((verdict.end.cause, verdict.orderly), (Cause::Finished, true));
}

#[tokio::test(start_paused = true)]
async fn what_came_before_a_refusal_is_answered_and_the_refusal_once() {
    let (told, verdict) =
        told(&format!("{GET}GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n{GET}"), true).await;
    assert_eq!(statuses(&told), ["200", "400"]);
    assert!(told.contains("more than one Host"), "{told}");
    assert_eq!((verdict.end.cause, verdict.orderly), (Cause::RequestMalformed, true));
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_waited_for_no_longer_than_a_whole_one_may_take() {
    let began = Instant::now();
    let (told, verdict) = told("GET / HTTP/1.1\r\nHo", false).await;
    assert_eq!(statuses(&told), ["408"]);
    assert_eq!((verdict.end.cause, verdict.orderly), (Cause::RequestTimeout, true));
    let waited = began.elapsed();
    let bound = Options::default().request_head_timeout.get();
    assert!(waited >= bound && waited < bound + Duration::from_secs(3), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_closed_in_order() {
    let (told, verdict) = told(GET, false).await;
    assert_eq!(statuses(&told), ["200"]);
    assert_eq!((verdict.end.cause, verdict.orderly), (Cause::Idle, true));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_its_client_has_cut_off_is_no_end_in_order() {
    let (told, verdict) = told("GET / HTTP/1.1\r\nHo", true).await;
    assert_eq!(statuses(&told), [""; 0]);
    assert_eq!((verdict.end.cause, verdict.orderly), (Cause::ClientLeft, false));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_told_to_be_too_long_is_answered_as_such() {
    let options = Options { max_body: Some(4), ..Options::default() };
    let tracker = Tracker::new(1, ());
    let conn = tracker.open(0, Opening::new(PeerAddr::new(([127, 0, 0, 1], 1).into()), "test"));
    conn.enter(Phase::Dial, Instant::now(), DeadlineKind::Dial).unwrap();
    let (near, far) = mem::pair(4096);
    write_all(&far, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").await.unwrap();
    let echo = Echo;
    let bound = Bound::secs(10).get();
    let serving = tokio::time::timeout(bound, serve(&conn, &near, ReadAhead::default(), &echo, &options));
    let mut buffer = [0; 512];
    let (_, n) = tokio::join!(serving, read(&far, &mut buffer));
    let told = String::from_utf8_lossy(&buffer[..n.unwrap()]).into_owned();
    assert_eq!(statuses(&told), ["413"]);
}
