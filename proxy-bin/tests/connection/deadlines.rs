//! Deadlines on a paused clock, both sides of each boundary, as a configuration sets them.

use proxy_conn::ConnView;
use proxy_core::relay::RelayDeadline;

use super::*;

/// `PLAIN` with `timeouts` for its route.
fn with_timeouts(timeouts: &str) -> Rig {
    Rig::new(&format!("{}\ntimeouts = {{ {timeouts} }}\n", PLAIN.trim_end()))
}

/// How long a connection lives whose client sends a byte every `pause`, `bytes` times, and whose backend takes them.
async fn lifetime(rig: &Rig, pause: Duration, bytes: usize) -> (f64, String) {
    let listener = rig.backend();
    let ((client, task), started) = (rig.spawn(), Instant::now());
    let (backend, _) = listener.accept().await.unwrap();
    let talk = async {
        for _ in 0..bytes {
            tokio::time::sleep(pause).await;
            if write_all(&client, b"x").await.is_err() || read(&backend, &mut [0; 8]).await.is_err() {
                break;
            }
        }
        // From here on, silence.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = talk => (),
        ended = task => ended.unwrap(),
    }
    (started.elapsed().as_secs_f64(), rig.end())
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_hello_that_is_whole_just_in_time_is_served() {
    let rig = Rig::new(BY_NAME);
    let listener = rig.backend();
    let (client, _task) = rig.spawn();
    // A hello without extensions has no name, so no route takes it: but it was read whole, which is what this is about.
    let mut hello = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0x13, 1, 1, 0]);
    let (last, first) = hello.split_last().unwrap();
    write_all(&client, first).await.unwrap();
    tokio::time::sleep(Duration::from_millis(14_900)).await;
    write_all(&client, &[*last]).await.unwrap();
    assert_eq!(read_to_end(&client).await, (Vec::new(), false));
    assert!(rig.end().starts_with("PP no_route by proxy in peek 50/0"));
    drop(listener);
}

#[tokio::test(start_paused = true)]
async fn a_first_byte_just_in_time_lifts_the_no_data_deadline() {
    let rig = with_timeouts("no_data_timeout = \"10s\", inactivity_timeout = \"20s\"");
    let (secs, end) = lifetime(&rig, Duration::from_millis(9_900), 1).await;
    assert!((29.9..30.0).contains(&secs), "{secs}");
    assert_eq!(end, "pD idle by proxy in relay 1/0");
    let (secs, end) = lifetime(&rig, Duration::from_millis(10_100), 1).await;
    assert!((10.0..10.1).contains(&secs), "{secs}");
    assert_eq!(end, "pD no_data by proxy in relay 0/0");
}

#[tokio::test(start_paused = true)]
async fn the_no_data_deadline_can_be_switched_off() {
    let rig = with_timeouts("no_data_timeout = \"off\", inactivity_timeout = \"20s\"");
    let (secs, end) = lifetime(&rig, SECOND, 0).await;
    assert!((20.0..20.1).contains(&secs), "{secs}");
    assert_eq!(end, "pD idle by proxy in relay 0/0");
}

#[tokio::test(start_paused = true)]
async fn a_busy_connection_lives_until_its_lifetime_is_over_and_no_longer() {
    let rig = with_timeouts("max_connection_lifetime = \"1m\", inactivity_timeout = \"2s\"");
    let (secs, end) = lifetime(&rig, SECOND, 1000).await;
    assert!((60.0..60.1).contains(&secs), "{secs}");
    assert!(end.starts_with("pD lifetime by proxy in relay"), "{end}");
    let (secs, end) = lifetime(&rig, SECOND, 57).await;
    assert!((59.0..59.1).contains(&secs), "just under it something else ends it: {secs}");
    assert_eq!(end, "pD idle by proxy in relay 57/0");
}

#[tokio::test(start_paused = true)]
async fn a_chained_connection_has_the_tighter_deadlines_of_its_pool() {
    let rig = Rig::new(&PLAIN.replace("[[routes]]", "[[routes]]\nsend_proxy = \"v1\""));
    let _hole = rig.net.black_hole(backend_addr());
    let ((_client, task), started) = (rig.spawn(), Instant::now());
    task.await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 10);
    assert!(rig.end().contains("connection_timeout 10s"));
}

/// Notes warnings: which deadline, and how long before it.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<(RelayDeadline, u64)>>>);

impl Subscriber for Warnings {
    fn warned(&self, _: &ConnView, at: Instant, why: RelayDeadline) {
        self.0.lock().push((why, (at - Instant::now()).as_secs()));
    }
}

#[tokio::test(start_paused = true)]
async fn an_extended_connection_lives_six_times_as_long_and_is_warned_of() {
    let text = format!(
        "{}\ntimeouts = {{ keep_alive_treatment = \"extended\", no_data_timeout = \"off\" }}\n",
        PLAIN.trim_end()
    );
    let warnings = Warnings::default();
    let rig = Rig::new(&text);
    let config =
        Config::parse(&text, "test.toml").unwrap_or_else(|errors| panic!("{}", errors.render(Ink::Plain)));
    let tracker = Tracker::new(1, warnings.clone());
    let proxy = Arc::new(Generation::new(config.settings, tracker, rig.net.clone(), Resolver::fixed([])));
    let rig = Rig { proxy, ..rig };
    let listener = rig.backend();
    let ((_client, task), started) = (rig.spawn(), Instant::now());
    let _backend = listener.accept().await.unwrap();
    task.await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 6 * 3600);
    assert_eq!(*warnings.0.lock(), [(RelayDeadline::Idle, 18 * 60)]);
}

#[tokio::test(start_paused = true)]
async fn an_immortal_connection_is_never_cut_for_silence_but_an_operator_can_end_it() {
    let rig = with_timeouts("keep_alive_treatment = \"immortal\", no_data_timeout = \"off\"");
    let listener = rig.backend();
    let (_client, task) = rig.spawn();
    let _backend = listener.accept().await.unwrap();
    tokio::time::sleep(Duration::from_secs(100 * 86_400)).await;
    assert_eq!(rig.proxy.tracker.len(), 1);
    rig.proxy.tracker.cancel_all(proxy_conn::Reason::Killed);
    task.await.unwrap();
    assert_eq!(rig.end(), "KD killed by operator in relay 0/0");
}

#[tokio::test(start_paused = true)]
async fn jitter_spreads_the_ends_of_connections_opened_together() {
    let rig = Rig::new(&format!(
        "limits.connections_per_client = \"off\"\nlimits.connections_per_client_per_minute = \"off\"\nlimits.max_connections = 100\n{}\ntimeouts = {{ inactivity_timeout = \"100s\", no_data_timeout = \"off\", jitter = 5 }}\n",
        PLAIN.trim_end()
    ));
    let (listener, started) = (rig.backend(), Instant::now());
    let mut held = Vec::new();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (client, serving) = rig.connect();
        tasks.spawn(async move {
            serving.await;
            started.elapsed().as_secs_f64()
        });
        held.push((client, listener.accept().await.unwrap()));
    }
    let ends = tasks.join_all().await;
    assert!(ends.iter().all(|secs| (94.9..105.1).contains(secs)), "{ends:?}");
    let (least, most) =
        ends.iter().fold((f64::MAX, 0.0_f64), |(least, most), secs| (least.min(*secs), most.max(*secs)));
    assert!(most - least > 2.0, "fifty draws over ten seconds: {least} to {most}");
}
