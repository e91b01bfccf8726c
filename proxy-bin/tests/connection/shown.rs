//! The deadline that is shown of a connection is the one that will end it if nothing moves any more: whenever somebody asks, in
//! the tracker's snapshot and in the API's view.

use proxy_core::Side;
use proxy_core::relay::RelayDeadline::{self, HalfClosed, Idle, Lifetime, NoData, WriteStall};

use super::*;
use proxy_conn::DeadlineKind::Relay;

/// How often somebody asks; no divisor of how often a byte moves.
const ASKED: Duration = Duration::from_millis(70);

/// One connection in its relay, with both far ends.
struct Talk {
    rig: Rig,
    client: MemStream,
    backend: MemStream,
    task: tokio::task::JoinHandle<()>,
}

impl Talk {
    async fn start(timeouts: &str) -> Self {
        let rig = Rig::new(&format!("{}\ntimeouts = {{ {timeouts} }}\n", PLAIN.trim_end()));
        let (listener, (client, task)) = (rig.backend(), rig.spawn());
        let (backend, _) = listener.accept().await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        Self { rig, client, backend, task }
    }

    /// One byte from `side`, read by the other.
    async fn a_byte(&self, from: Side) {
        let (from, to) = match from {
            Side::Client => (&self.client, &self.backend),
            Side::Backend => (&self.backend, &self.client),
        };
        write_all(from, b"x").await.unwrap();
        read(to, &mut [0; 8]).await.unwrap();
    }

    /// Which deadline is shown, and in how many seconds it is; the same wherever one looks.
    fn shown(&self) -> (RelayDeadline, f64) {
        let (views, now) = (self.rig.proxy.tracker.snapshot(), Instant::now());
        let [one] = &*views else { panic!("{views:?}") };
        let Relay(which) = one.deadline else { panic!("{one:?}") };
        let told = proxy_bin::admin::connection_view(one, false, &["pool"], now);
        let secs = one.deadline_at.saturating_duration_since(now).as_secs_f64();
        assert_eq!(told.deadline, which.to_string());
        assert!((told.deadline_in_s - secs).abs() < 1e-5, "{} {secs}", told.deadline_in_s);
        (which, secs)
    }

    /// A byte from `side` each half a second for `time`: always `which` is shown, and that it is `secs` after the last byte.
    async fn shows(&self, from: Side, time: Duration, which: RelayDeadline, secs: f64) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.a_byte(from).await;
            let byte = Instant::now();
            while byte.elapsed() < Duration::from_millis(500) {
                tokio::time::sleep(ASKED.min(Duration::from_millis(500) - byte.elapsed())).await;
                self.is(which, secs - byte.elapsed().as_secs_f64());
            }
        }
    }

    #[track_caller]
    fn is(&self, which: RelayDeadline, secs: f64) {
        let shown = self.shown();
        assert!(shown.0 == which && (shown.1 - secs).abs() < 0.005, "{shown:?}, expected {which} in {secs}");
    }

    async fn silence(&self, secs: f64) {
        tokio::time::sleep(Duration::from_secs_f64(secs)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_busy_connection_the_last_byte_and_the_silence_that_is_borne() {
    let talk = Talk::start("inactivity_timeout = \"20s\"").await;
    talk.shows(Side::Client, Duration::from_secs(50), Idle, 20.0).await;
    talk.shows(Side::Backend, Duration::from_secs(50), Idle, 20.0).await;
    talk.silence(19.0).await;
    talk.is(Idle, 0.5);
    talk.task.await.unwrap();
    assert_eq!(talk.rig.end(), "pD idle by proxy in relay 100/100");
}

#[tokio::test(start_paused = true)]
async fn of_one_that_has_ended_on_one_side_how_long_the_other_may_be_silent() {
    let timeouts = "inactivity_timeout = \"20s\", half_closed_timeout = \"8s\"";
    let talk = Talk::start(timeouts).await;
    talk.a_byte(Side::Client).await;
    talk.silence(3.0).await;
    talk.client.shutdown_write().unwrap();
    talk.silence(1.0).await;
    talk.is(HalfClosed, 7.0);
    talk.shows(Side::Backend, Duration::from_secs(30), HalfClosed, 8.0).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_side_that_takes_nothing_since_when_whatever_the_other_takes() {
    let timeouts = "inactivity_timeout = \"20s\", write_stall_timeout = \"50s\"";
    let talk = Talk::start(timeouts).await;
    // More than the client's stream holds, and than is read at once.
    let flood = async { while write_all(&talk.backend, &[7; 1024]).await.is_ok() {} };
    drop(tokio::time::timeout(Duration::from_millis(500), flood).await);
    talk.is(Idle, 19.5);
    // The other way bytes move: they do not lift the stall, and until it is nearer than silence would be, that is shown.
    for halves in 1..=80 {
        let expected = if halves < 60 { (Idle, 19.5) } else { (WriteStall, 49.5 - f64::from(halves) / 2.0) };
        talk.a_byte(Side::Client).await;
        talk.silence(0.5).await;
        talk.is(expected.0, expected.1);
    }
    // The stalled side takes something: its deadline starts anew.
    assert_eq!(read(&talk.client, &mut [0; 100]).await.unwrap(), 100);
    talk.silence(1.0).await;
    talk.is(Idle, 19.0);
}

#[tokio::test(start_paused = true)]
async fn of_one_whose_stall_is_over_no_stall() {
    let timeouts = "inactivity_timeout = \"20s\", write_stall_timeout = \"5s\"";
    let talk = Talk::start(timeouts).await;
    write_all(&talk.backend, &[7; 64 * 1024 + 100]).await.unwrap();
    talk.silence(1.0).await;
    talk.is(WriteStall, 4.0);
    let mut taken = 0;
    while taken < 64 * 1024 + 100 {
        taken += read(&talk.client, &mut [0; 4096]).await.unwrap();
    }
    talk.silence(1.0).await;
    talk.is(Idle, 19.0);
}

#[tokio::test(start_paused = true)]
async fn of_one_without_a_byte_what_the_first_byte_lifts() {
    let timeouts = "inactivity_timeout = \"20s\", no_data_timeout = \"10s\"";
    let talk = Talk::start(timeouts).await;
    talk.silence(8.0 - 0.001).await;
    talk.is(NoData, 2.0);
    talk.a_byte(Side::Backend).await;
    talk.is(Idle, 20.0);
}

#[tokio::test(start_paused = true)]
async fn of_an_old_one_the_end_of_its_life_once_that_is_nearer() {
    let timeouts = "inactivity_timeout = \"20s\", max_connection_lifetime = \"1m\"";
    let talk = Talk::start(timeouts).await;
    talk.shows(Side::Client, Duration::from_secs(39), Idle, 20.0).await;
    talk.a_byte(Side::Client).await;
    talk.silence(2.0).await;
    talk.a_byte(Side::Client).await;
    talk.is(Lifetime, 60.0 - 41.001);
    talk.silence(1.0).await;
    talk.is(Lifetime, 60.0 - 42.001);
}

#[tokio::test(start_paused = true)]
async fn of_one_that_is_older_than_its_marks_are_exact_still_no_earlier_than_it_is() {
    let talk = Talk::start("inactivity_timeout = \"30m\"").await;
    // After 18 minutes times are kept to the millisecond.
    talk.a_byte(Side::Client).await;
    talk.silence(1500.0004).await;
    talk.a_byte(Side::Client).await;
    let (which, secs) = talk.shown();
    assert!(which == Idle && (1800.0..1800.002).contains(&secs), "{secs}");
}
