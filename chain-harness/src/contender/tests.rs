//! Every contender has a configuration for every place in a chain. That those that are installed accept theirs is shown by
//! `tests/a_chain_of_each_contender.rs`, which has a process, and its descriptors, to itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::*;

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[test]
fn every_contender_has_a_word_for_everything_in_the_plan() {
    let mut plan = HopPlan { workers: 3, max_connections: 700, ..HopPlan::new(local(1111), local(2222)) };
    plan.header = Duration::from_millis(1300);
    (plan.connect, plan.idle) = (Duration::from_millis(1700), Duration::from_millis(2900));
    plan.half_closed = Duration::from_millis(900);
    (plan.accept_proxy, plan.send_proxy) = (true, true);
    for contender in Contender::KNOWN {
        let text = contender.launch(plan).configuration(Path::new("/somewhere"));
        let has = |word: &str| assert!(text.contains(word), "{contender} has no {word}:\n{text}");
        ["1111", "2222"].into_iter().for_each(has);
        has(if contender == Contender::Envoy { "1.7s" } else { "1700ms" });
        has(if contender == Contender::Envoy { "2.9s" } else { "2900ms" });
        // Every name has been replaced, every condition decided.
        let left: Vec<_> =
            text.lines().filter(|line| line.contains("_ms}") || line.starts_with("#if")).collect();
        assert!(left.is_empty(), "{contender}: {left:?}");
        let plain = HopPlan { accept_proxy: false, send_proxy: false, ..plan };
        let plain = contender.launch(plain).configuration(Path::new("/somewhere"));
        for word in ["accept_proxy", "accept-proxy", "send", "proxy_protocol"] {
            assert!(!plain.contains(word), "{contender} has {word} without any PROXY header:\n{plain}");
        }
        let secure =
            HopPlan { terminate: true, reencrypt: true, accept_proxy: false, send_proxy: false, ..plan };
        let secure = contender.launch(secure).configuration(Path::new("/somewhere"));
        for word in ["/somewhere/certificate.pem", "/somewhere/roots.pem"] {
            assert!(secure.contains(word) && !plain.contains(word), "{contender} has no {word}:\n{secure}");
        }
    }
}

#[test]
fn names_and_command_lines_are_told_apart() {
    for known in Contender::KNOWN {
        assert_eq!(known.name().parse(), Ok(known.clone()));
    }
    let named = "realm=realm -l {listen} -r {target}".parse::<Contender>().unwrap();
    assert_eq!((named.name(), named.version().as_str()), ("realm", "realm -l {listen} -r {target}"));
    assert!(!named.speaks_proxy());
    assert_eq!("/opt/bin/gost -L=tcp://{listen}/{target}".parse::<Contender>().unwrap().name(), "gost");
    let refused = "haprox".parse::<Contender>().unwrap_err();
    assert!(refused.contains("haproxy, nginx") && refused.contains("{listen}"), "{refused}");
    let missing = "no-such-proxy {listen}".parse::<Contender>().unwrap().installed().unwrap_err();
    assert!(missing.contains("no-such-proxy"), "{missing}");
}
