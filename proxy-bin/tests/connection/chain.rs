//! Two hops with the deadlines that are built in, on a paused clock: who is silent is ended once, and both hops say of what.

use super::*;

const OUTER: &str = r#"
[[listeners]]
ports = [8000]
bind = ["127.0.0.1"]
[[routes]]
name = "outer"
match = { ports = [8000] }
action = { forward = ["127.0.0.1:9001"] }
send_proxy = "v2"
next_hop = "smartproxy"
"#;

const INNER: &str = r#"
[[listeners]]
ports = [9001]
bind = ["127.0.0.1"]
accept_proxy = { required = ["127.0.0.0/8"] }
[[routes]]
name = "inner"
match = { ports = [9001] }
action = { forward = ["127.0.0.1:9000"] }
"#;

/// A connection through both hops, and what became of it.
struct Through {
    outer: Rig,
    inner: Rig,
    client: MemStream,
    backend: MemStream,
    serving: [tokio::task::JoinHandle<()>; 2],
    started: Instant,
}

impl Through {
    async fn both() -> Self {
        let outer = Rig::new(OUTER);
        let inner = Rig::on(outer.net.clone(), INNER);
        let (backends, between) = (outer.backend(), outer.net.listen(([127, 0, 0, 1], 9001).into()));
        let (client, at_outer) = outer.spawn();
        let (near, _) = between.accept().await.unwrap();
        let serving = inner.proxy.connection(
            &inner.proxy.listeners[0],
            0,
            near,
            PeerAddr::new(([127, 0, 0, 1], 4001).into()),
        );
        #[expect(clippy::disallowed_methods, reason = "the test stands in for the accept loop")]
        let at_inner = tokio::spawn(serving);
        let (backend, _) = backends.accept().await.unwrap();
        Self { outer, inner, client, backend, serving: [at_outer, at_inner], started: Instant::now() }
    }

    /// How it ended on the outer hop and on the inner one, and after how many seconds.
    async fn ends(self) -> String {
        let Self { outer, inner, client, backend, serving: [at_outer, at_inner], started } = self;
        at_inner.await.unwrap();
        at_outer.await.unwrap();
        drop((client, backend));
        format!("{}\n{}\n{}s", outer.end(), inner.end(), started.elapsed().as_secs())
    }
}

/// The outermost of so many hops, by the deadlines of which nobody has any part in what it is told.
#[tokio::test(start_paused = true)]
async fn a_deadline_of_a_hop_further_on_is_no_reset_by_anybody() {
    // By what is built in, the hop next to the backend has 0.9 and 0.81 of a deadline, and a fifth hop less.
    for (after, end) in [
        (9_000, "sL half_closed by backend in drain 1/0: the next proxy was the first to end it, after 9s"),
        (
            8_100,
            "sL half_closed by backend in drain 1/0: a proxy further on was the first to end it, after 8s",
        ),
        (
            7_290,
            "sL half_closed by backend in drain 1/0: a proxy further on was the first to end it, after 7s",
        ),
        (5_000, "SL backend_reset by backend in drain 1/0: the next hop reset it, and its log says why"),
    ] {
        let rig = Rig::new(OUTER);
        let next = rig.net.listen(([127, 0, 0, 1], 9001).into());
        let (client, serving) = rig.spawn();
        let (near, _) = next.accept().await.unwrap();
        write_all(&client, b"x").await.unwrap();
        client.shutdown_write().unwrap();
        tokio::time::sleep(Duration::from_millis(after)).await;
        drop(near);
        serving.await.unwrap();
        assert_eq!(rig.end(), end);
    }
}

#[tokio::test(start_paused = true)]
async fn silence() {
    let through = Through::both().await;
    write_all(&through.client, b"x").await.unwrap();
    insta::assert_snapshot!(through.ends().await, @"
    pD idle by proxy in relay 1/0: the next proxy was the first to end it, after 9m
    pD idle by proxy in relay 47/0
    540s
    ");
}

#[tokio::test(start_paused = true)]
async fn not_a_byte_ever() {
    let through = Through::both().await;
    insta::assert_snapshot!(through.ends().await, @"
    pD no_data by proxy in relay 0/0: the next proxy was the first to end it, after 54s
    pD no_data by proxy in relay 46/0
    54s
    ");
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_does_not_answer_a_client_that_has_ended() {
    let through = Through::both().await;
    write_all(&through.client, b"x").await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
    through.client.shutdown_write().unwrap();
    insta::assert_snapshot!(through.ends().await, @"
    sL half_closed by backend in drain 1/0: the next proxy was the first to end it, after 9s
    sL half_closed by backend in drain 47/0
    109s
    ");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_end_behind_its_backends_end() {
    let through = Through::both().await;
    write_all(&through.backend, b"x").await.unwrap();
    through.backend.shutdown_write().unwrap();
    // It has got everything, the end too, and the outer hop is the one who knows: the inner is told.
    insta::assert_snapshot!(through.ends().await, @"
    cL half_closed by client in drain 0/1
    cL half_closed by client in drain 46/1: the proxy before this one ended it, after 10s
    10s
    ");
}

/// The answer's reader has long got all there is to read, and is heard all the same.
#[tokio::test(start_paused = true)]
async fn a_client_that_has_something_to_say_long_after_its_backends_end() {
    let through = Through::both().await;
    write_all(&through.backend, b"x").await.unwrap();
    through.backend.shutdown_write().unwrap();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(9_500)).await;
        write_all(&through.client, b"y").await.unwrap();
    }
    through.client.shutdown_write().unwrap();
    let header_and_all = read_to_end(&through.backend).await;
    assert!(header_and_all.0.ends_with(b"yyyyy") && header_and_all.1, "{header_and_all:?}");
    insta::assert_snapshot!(through.ends().await, @"
    -- finished by backend in drain 5/1
    -- finished by backend in drain 51/1
    47s
    ");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_resets_behind_its_backends_end() {
    for after in [1, 5, 8] {
        let through = Through::both().await;
        write_all(&through.backend, b"x").await.unwrap();
        through.backend.shutdown_write().unwrap();
        tokio::time::sleep(Duration::from_secs(after)).await;
        let Through { outer, inner, client, backend, serving: [at_outer, at_inner], .. } = through;
        drop(client);
        at_outer.await.unwrap();
        assert_eq!(outer.end(), "CL client_reset by client in drain 0/1", "{after}");
        at_inner.await.unwrap();
        let told =
            "CL client_reset by client in drain 46/1: the hop before this one reset it, and its log says why";
        assert_eq!(inner.end(), told, "{after}");
        drop(backend);
    }
}

#[tokio::test(start_paused = true)]
async fn a_life_that_is_too_long_however_busy() {
    let through = Through::both().await;
    let (client, backend) = (&through.client, &through.backend);
    while write_all(client, b"x").await.is_ok() && read(backend, &mut [0; 8]).await.is_ok() {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let ends = through.ends().await;
    for end in ends.lines().take(2) {
        assert!(end.starts_with("pD lifetime by proxy in relay"), "{ends}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_told_as_one_at_any_other_time() {
    for after in [0, 9, 54, 60, 500, 539] {
        let Through { outer, inner, client, backend, serving: [at_outer, at_inner], .. } =
            Through::both().await;
        write_all(&client, b"x").await.unwrap();
        tokio::time::sleep(Duration::from_secs(after)).await;
        drop(backend);
        assert_eq!(read_to_end(&client).await, (Vec::new(), false));
        at_inner.await.unwrap();
        assert_eq!(inner.end(), "SD backend_reset by backend in relay 47/0", "{after}");
        at_outer.await.unwrap();
        let told = "SD backend_reset by backend in relay 1/0: the next hop reset it, and its log says why";
        assert_eq!(outer.end(), told, "{after}");
    }
}
