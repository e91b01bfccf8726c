//! A neighbour asks how the hop is: it is told, if it is one whose headers are taken, and nothing else comes of it.

use proxy_upstream::health::hop::question;

use super::*;

const HOP: &str = r#"
[limits]
max_connections = 10
[[listeners]]
ports = [8000]
bind = ["127.0.0.1"]
accept_proxy = { required_from = ["10.0.0.0/8"] }
[[routes]]
name = "named"
match = { ports = [8000], domains = ["a.test"] }
action = { forward = ["127.0.0.1:9000"] }
max_connections = 4
[[routes]]
name = "others"
match = { ports = [8000] }
action = { forward = ["127.0.0.1:9001"] }
"#;

/// What is answered to a peer with this address that asks, whether that was the end, and how the hop tells of it.
async fn asks(rig: &Rig, peer: [u8; 4], name: Option<&str>) -> (String, bool, String) {
    let (client, serving) = rig.connect_from(peer);
    #[expect(clippy::disallowed_methods, reason = "the test stands in for the accept loop")]
    let task = tokio::spawn(serving);
    write_all(&client, &question(name)).await.unwrap();
    let (answer, fin) = read_to_end(&client).await;
    task.await.unwrap();
    (String::from_utf8(answer).unwrap(), fin, rig.ends.0.lock().pop().unwrap())
}

async fn answer(rig: &Rig, name: Option<&str>) -> String {
    let (answer, fin, end) = asks(rig, [10, 0, 0, 1], name).await;
    assert!(fin && end.starts_with("CH asked by client in header"), "{end}");
    answer.strip_prefix("smartproxy 1 ").unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_neighbour_is_told_how_the_hop_is_for_whoever_comes_the_same_way() {
    let rig = Rig::new(HOP);
    assert_eq!(answer(&rig, None).await, "ready places=9 load=10\n");
    assert_eq!(
        answer(&rig, Some("a.test")).await,
        "ready places=4 load=10\n",
        "its route has the fewest places"
    );
    let named = rig.proxy.route(0).unwrap();
    let held: Vec<_> = (0..3).map(|_| named.limit.acquire().unwrap()).collect();
    assert_eq!(answer(&rig, Some("a.test")).await, "ready places=1 load=75\n");
    let last = named.limit.acquire().unwrap();
    assert_eq!(answer(&rig, Some("a.test")).await, "full places=0 load=100\n");
    assert_eq!(answer(&rig, None).await, "ready places=9 load=10\n", "the other route is as it was");
    drop((held, last));
    named.draining.set(true);
    assert_eq!(answer(&rig, Some("a.test")).await, "draining places=4 load=10\n");
    assert_eq!(answer(&rig, None).await, "ready places=9 load=10\n");
    rig.proxy.route(1).unwrap().targets.nth(0).unwrap().draining.set(true);
    assert_eq!(answer(&rig, None).await, "draining places=9 load=10\n", "nobody is behind it");
    assert!(rig.proxy.tracker.is_empty() && rig.proxy.connections.in_use() == 0);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_about_to_stop_and_a_pool_that_sheds_say_so() {
    let rig = Rig::new(HOP);
    let pool = &rig.proxy.pools[1];
    pool.pressure.store(proxy_conn::Pressure {
        level: proxy_conn::Level::Shed,
        signal: proxy_conn::overload::Signal::Growth,
        ..proxy_conn::Pressure::default()
    });
    assert_eq!(answer(&rig, None).await, "shedding places=9 load=10\n");
    rig.proxy.leaving.set(true);
    assert_eq!(answer(&rig, None).await, "draining places=9 load=10\n");
}

#[tokio::test(start_paused = true)]
async fn nobody_else_is_told_anything() {
    let rig = Rig::new(HOP);
    let (answer, fin, end) = asks(&rig, [192, 0, 2, 1], None).await;
    assert_eq!((answer.as_str(), fin), ("", false));
    assert!(end.contains("header_untrusted"), "{end}");
}

#[tokio::test(start_paused = true)]
async fn a_header_that_speaks_for_a_client_asks_nothing() {
    let rig = Rig::new(HOP);
    let listener = rig.net.listen(([127, 0, 0, 1], 9001).into());
    let (client, serving) = rig.connect();
    #[expect(clippy::disallowed_methods, reason = "the test stands in for the accept loop")]
    let task = tokio::spawn(serving);
    let mut header = question(None);
    // PROXY in place of LOCAL.
    header[12] = 0x21;
    write_all(&client, &header).await.unwrap();
    write_all(&client, b"hello").await.unwrap();
    client.shutdown_write().unwrap();
    let (backend, _) = listener.accept().await.unwrap();
    assert_eq!(read_to_end(&backend).await, (b"hello".to_vec(), true));
    backend.finish();
    assert_eq!(read_to_end(&client).await, (Vec::new(), true));
    task.await.unwrap();
}
