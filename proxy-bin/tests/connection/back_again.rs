//! A name that one reload removes and a later one brings back, while its connections live.

use proxy_conn::BreakerState;
use proxy_core::dial::Gate;

use super::*;

const LIMITED: &str = r#"
[pools.small]
max_connections = 5
[[listeners]]
ports = [8000]
bind = ["127.0.0.1"]
max_connections = 5
[[routes]]
name = "plain"
match = { ports = [8000] }
action = { forward = ["127.0.0.1:9000"] }
max_connections = 5
max_connections_per_target = 5
pool = "small"
"#;

impl Rig {
    fn reload(&mut self, config: &str) {
        let config = Config::parse(config, "test.toml")
            .unwrap_or_else(|errors| panic!("{}", errors.render(Ink::Plain)));
        let next = self.proxy.after(config.settings).unwrap();
        next.take_force();
        self.proxy = Arc::new(next);
    }

    /// What route, target, listener and pool count.
    fn in_use(&self) -> [usize; 4] {
        let route = &self.proxy.route(0).unwrap();
        let pool = self.proxy.pools.iter().find(|pool| &*pool.name == "small").unwrap();
        let at = &self.proxy.listeners[0];
        [route.limit.in_use(), route.targets.in_use(), at.limit.in_use(), pool.limit.in_use()]
    }

    fn held(&self) -> Vec<(proxy_conn::Permit, proxy_conn::Permit)> {
        let route = &self.proxy.route(0).unwrap();
        let target = route.targets.iter().next().unwrap();
        (0..5).map(|_| (route.limit.acquire().unwrap(), target.limit.acquire().unwrap())).collect()
    }

    fn candidates(&self) -> proxy_upstream::Candidates<'_> {
        self.proxy.route(0).unwrap().targets.candidates(8000)
    }
}

/// The same with every name another one: of route, target, pool, and listener, which goes by its port.
fn renamed() -> String {
    let renamed = LIMITED.replace("plain", "other").replace("small", "large");
    renamed.replace("8000", "8001").replace("127.0.0.1:9000", "127.0.0.1:9001")
}

#[tokio::test(start_paused = true)]
async fn a_name_that_was_away_for_a_while_does_not_admit_as_many_again() {
    let mut rig = Rig::new(LIMITED);
    let listener = rig.backend();
    let mut open = Vec::new();
    for _ in 0..5 {
        let (client, _) = rig.spawn();
        open.push((client, listener.accept().await.unwrap()));
    }
    let before = rig.in_use();
    for _ in 0..3 {
        rig.reload(&renamed());
        rig.reload(LIMITED);
    }
    assert_eq!(rig.in_use(), before);
    let (_sixth, task) = rig.spawn();
    task.await.unwrap();
    let ends = std::mem::take(&mut *rig.ends.0.lock());
    assert!(ends.len() == 1 && ends[0].contains("5 are open"), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_was_away_for_a_while_is_as_drained_and_as_ill_as_it_was() {
    let mut rig = Rig::new(LIMITED);
    let _open = rig.held();
    let target = rig.proxy.route(0).unwrap().targets.iter().next().unwrap();
    target.limit.set_most(6);
    for _ in 0..5 {
        let candidates = rig.candidates();
        let attempt = candidates.enter(0).unwrap();
        candidates.failed(attempt, &io::Error::from(io::ErrorKind::ConnectionRefused).into(), &[]);
    }
    rig.proxy.route(0).unwrap().draining.set(true);
    rig.reload(&LIMITED.replace("9000", "9001"));
    let state = |rig: &Rig| rig.proxy.route(0).unwrap().targets.iter().next().unwrap().breaker().state;
    assert_eq!(state(&rig), BreakerState::Closed, "it is another one");
    rig.reload(&renamed());
    rig.reload(LIMITED);
    assert_eq!(state(&rig), BreakerState::Open);
    assert!(rig.proxy.route(0).unwrap().draining.is_on());
}

#[tokio::test(start_paused = true)]
async fn a_name_in_force_is_not_forgotten_before_it_has_connections() {
    let mut rig = Rig::new(LIMITED);
    rig.proxy.forget_names();
    let _open = (rig.held(), rig.proxy.listeners[0].limit.acquire().unwrap());
    let before = rig.in_use();
    rig.reload(LIMITED);
    assert_eq!(rig.in_use(), before);
}

#[tokio::test(start_paused = true)]
async fn a_name_without_connections_is_forgotten() {
    let mut rig = Rig::new(LIMITED);
    rig.proxy.forget_names();
    let (usual, spare) = rig.proxy.names();
    assert!(!spare, "all are in force");
    let open = rig.held();
    for n in 0..20 {
        rig.reload(&renamed().replace("other", &format!("other {n}")).replace("9001", &format!("91{n:02}")));
        rig.proxy.forget_names();
        assert_eq!(rig.proxy.names(), (usual + 2, true), "the route and the target that have connections");
    }
    drop(open);
    rig.proxy.forget_names();
    assert_eq!(rig.proxy.names().0, usual);
    rig.reload(LIMITED);
    assert_eq!(rig.in_use(), [0; 4]);
}

const MANY: &str = r#"
[[routes]]
name = "taken"
match = { ports = [8000] }
action = { forward = ["127.0.0.1:9000"] }
max_connections = 1
[[routes]]
name = "other"
match = { ports = [8001] }
action = { forward = ["127.0.0.1:9000"] }
max_connections = 2
"#;

#[tokio::test(start_paused = true)]
async fn a_route_is_counted_from_its_first_connection_on_and_nothing_before() {
    let mut rig = Rig::new(MANY);
    let names = |rig: &Rig| rig.proxy.routes.iter().map(|route| route.name.to_string()).collect::<Vec<_>>();
    assert_eq!((names(&rig).len(), rig.proxy.routes.len()), (0, 2));
    let listener = rig.backend();
    let (_client, _) = rig.spawn();
    let _served = listener.accept().await.unwrap();
    assert_eq!(names(&rig), ["taken"]);
    assert_eq!(rig.proxy.routes.made(0).unwrap().limit.in_use(), 1);
    assert!(rig.proxy.routes.made(1).is_none());
    rig.reload(MANY);
    assert_eq!(names(&rig), ["taken"], "what is counted goes on counting, the rest is not counted yet");
    assert_eq!(rig.proxy.routes.made(0).unwrap().limit.in_use(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_late_in_the_generation_before_does_not_set_the_limits_of_the_one_in_force() {
    let mut rig = Rig::new(MANY);
    let before = Arc::clone(&rig.proxy);
    rig.reload(&MANY.replace("max_connections = 2", "max_connections = 7"));
    // In force, taken first by a connection that was accepted before.
    assert_eq!(before.route(1).unwrap().limit.most(), 2);
    assert!(!before.route(1).unwrap().targets.nth(0).unwrap().is_in_force());
    let _place = before.route(1).unwrap().limit.acquire().unwrap();
    let limit = &rig.proxy.route(1).unwrap().limit;
    assert_eq!((limit.most(), limit.in_use()), (7, 1));
    assert!(rig.proxy.route(1).unwrap().targets.nth(0).unwrap().is_in_force());
    // And the other way round.
    assert_eq!(rig.proxy.route(0).unwrap().limit.most(), 1);
    rig.reload(&MANY.replace("max_connections = 1", "max_connections = 5"));
    assert_eq!(before.route(0).unwrap().limit.most(), 5);
    assert_eq!(rig.proxy.route(0).unwrap().limit.most(), 5);
}
