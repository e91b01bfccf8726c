use std::task::Waker;

use proxy_core::{Bound, Probes};

use super::*;

const KEEP_ALIVE: KeepAlive = KeepAlive::DEFAULT
    .idle(Bound::secs(10))
    .interval(Bound::secs(5))
    .count(Probes::new(3))
    .user_timeout(Bound::secs(30));

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Two ends of one connection, and what is under way to each.
struct Pair {
    ends: [Conn; 2],
    under_way: [Vec<Says>; 2],
    now: Instant,
}

impl Pair {
    fn new() -> Self {
        let now = Instant::now();
        let end = || Conn::new(Opened::Yes, KEEP_ALIVE, now);
        Self { ends: [end(), end()], under_way: [Vec::new(), Vec::new()], now }
    }

    /// Delivers what is under way, in an order and with losses that `chance` decides, and does what is due.
    fn pass(&mut self, mut chance: impl FnMut(usize) -> usize, loss: usize) {
        self.now += Duration::from_millis(100);
        for to in 0..2 {
            let mut coming = std::mem::take(&mut self.under_way[to]);
            while !coming.is_empty() {
                let says = coming.remove(chance(coming.len()));
                if chance(100) >= loss {
                    self.ends[to].hear(says, self.now, &mut self.under_way[1 - to]);
                }
            }
        }
        for end in 0..2 {
            self.ends[end].fire(self.now, &mut self.under_way[1 - end]);
        }
    }

    fn pass_in_order(&mut self) {
        self.pass(|_| 0, 0);
    }

    fn write(&mut self, end: usize, bytes: &[u8]) -> Poll<Result<usize, ErrorKind>> {
        self.ends[end].poll_write(&mut cx(), bytes, self.now, &mut self.under_way[1 - end])
    }

    fn read(&mut self, end: usize) -> Poll<Result<Vec<u8>, ErrorKind>> {
        let mut buffer = [0; 4096];
        let polled = self.ends[end].poll_read(&mut cx(), &mut buffer, &mut self.under_way[1 - end]);
        polled.map_ok(|n| buffer[..n].to_vec())
    }

    fn shut(&mut self, end: usize) {
        self.ends[end].end(self.now, &mut self.under_way[1 - end]).unwrap();
    }

    fn reset(&mut self, end: usize) {
        let at = self.ends[end].reset_at();
        self.under_way[1 - end].push(Says::Reset { at: Some(at) });
    }
}

#[test]
fn bytes_and_the_end_arrive_whole_whatever_is_lost_or_overtaken() {
    for seed in 0..50 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut pair, mut got) = (Pair::new(), Vec::new());
        let sent: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[(n % 3) as usize]).collect();
        let mut rest = &sent[..];
        for _ in 0..20_000 {
            if let Poll::Ready(Ok(n)) = pair.write(0, rest) {
                rest = &rest[n..];
            }
            if rest.is_empty() && !pair.ends[0].ending {
                pair.shut(0);
            }
            match pair.read(1) {
                Poll::Ready(Ok(bytes)) if bytes.is_empty() => break,
                Poll::Ready(bytes) => got.extend(bytes.unwrap()),
                Poll::Pending => {}
            }
            pair.pass(|n| rng.usize(..n), 20);
        }
        assert!(pair.ends[1].fin_seen && got == sent, "seed {seed}: {} of {} bytes", got.len(), sent.len());
    }
}

#[test]
fn whoever_does_not_read_holds_up_the_other_and_nothing_is_lost() {
    let mut pair = Pair::new();
    let mut taken = 0;
    for _ in 0..100 {
        if let Poll::Ready(n) = pair.write(0, &[7; 8192]) {
            taken += n.unwrap();
        }
        pair.pass_in_order();
    }
    assert_eq!(taken, SEND_BUFFER + RECEIVE_BUFFER, "both buffers, and no more");
    let mut got = 0;
    for _ in 0..100 {
        while let Poll::Ready(bytes) = pair.read(1) {
            got += bytes.unwrap().len();
        }
        pair.pass_in_order();
    }
    assert_eq!((got, pair.ends[0].unacknowledged()), (taken, 0));
}

#[test]
fn a_reset_leaves_what_has_arrived_and_waits_for_what_it_overtook() {
    let mut pair = Pair::new();
    assert!(pair.write(0, b"first").is_ready());
    pair.pass_in_order();
    assert!(pair.write(0, b"second").is_ready());
    pair.reset(0);
    // The reset arrives before the bytes that were sent before it.
    pair.under_way[1].reverse();
    pair.pass_in_order();
    assert_eq!(pair.read(1), Poll::Ready(Ok(b"firstsecond".to_vec())));
    assert_eq!(pair.read(1), Poll::Pending, "it has asked, and nobody has answered yet");
    pair.under_way[1].push(Says::Reset { at: None });
    pair.pass_in_order();
    assert_eq!(pair.read(1), Poll::Ready(Err(ErrorKind::ConnectionReset)));
    assert_eq!(pair.ends[1].poll_gone(&mut cx()), Poll::Ready(ErrorKind::ConnectionReset));
}

#[test]
fn an_end_stays_an_end_when_a_reset_follows() {
    let mut pair = Pair::new();
    pair.shut(0);
    pair.pass_in_order();
    pair.reset(0);
    pair.pass_in_order();
    assert_eq!(pair.read(1), Poll::Ready(Ok(Vec::new())));
    assert!(pair.ends[1].poll_gone(&mut cx()).is_ready());
}

#[test]
fn a_peer_that_answers_nothing_is_given_up_after_the_user_timeout() {
    for writes in [false, true] {
        let mut pair = Pair::new();
        if writes {
            assert!(pair.write(0, b"anybody there?").is_ready());
        }
        let began = pair.now;
        while pair.ends[0].dead.is_none() {
            pair.pass(|_| 0, 100);
            assert!(pair.now - began < Duration::from_secs(60), "it is given up");
        }
        assert_eq!(pair.ends[0].dead, Some(ErrorKind::TimedOut));
        assert!(pair.now - began >= Duration::from_secs(30), "and not before");
    }
}

#[test]
fn who_has_ended_hears_of_no_more_room() {
    let mut pair = Pair::new();
    let mut taken = 0;
    while let Poll::Ready(n) = pair.write(0, &[7; 8192]) {
        taken += n.unwrap();
        pair.pass_in_order();
        if taken >= RECEIVE_BUFFER {
            break;
        }
    }
    pair.shut(0);
    pair.pass_in_order();
    pair.pass_in_order();
    let mut got = 0;
    while got < taken {
        let Poll::Ready(bytes) = pair.read(1) else { panic!("it has all arrived") };
        got += bytes.unwrap().len();
        assert!(pair.under_way[0].is_empty(), "it would answer with a reset");
    }
}

#[test]
fn a_reset_behind_both_ends_is_none() {
    let mut pair = Pair::new();
    assert!(pair.write(0, b"last").is_ready());
    pair.shut(0);
    pair.shut(1);
    pair.pass_in_order();
    pair.pass_in_order();
    pair.under_way[1].push(Says::Reset { at: None });
    pair.pass_in_order();
    assert!(pair.ends[1].poll_gone(&mut cx()).is_pending());
    assert_eq!(pair.read(1), Poll::Ready(Ok(b"last".to_vec())));
    assert_eq!(pair.read(1), Poll::Ready(Ok(Vec::new())));
}
