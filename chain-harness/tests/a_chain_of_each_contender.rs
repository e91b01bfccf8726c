//! Whichever contender is installed takes its configuration, and a chain of two of it works.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use chain_harness::{Backend, Contender, HopPlan, Wire, free_port, scenario};

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A chain of two of each that is here takes a request and its answer, and nothing of it is left when it is dropped.
#[test]
fn a_chain_of_each_works_and_leaves_no_process() {
    let mut known = Contender::KNOWN.to_vec();
    known.push(
        "socat=socat TCP-LISTEN:{listen_port},bind={listen_host},fork,reuseaddr TCP:{target}"
            .parse()
            .unwrap(),
    );
    // It is built before the scenario's time starts.
    assert!(Contender::Smartproxy.version().starts_with("smartproxy "));
    for contender in known {
        if let Err(how) = contender.installed() {
            println!("skipped: {how}");
            continue;
        }
        scenario(async { goes_through(&contender).await });
    }
}

async fn goes_through(contender: &Contender) {
    let backend = Backend::answers("hello");
    let headers = contender.speaks_proxy();
    let inner = HopPlan { accept_proxy: headers, ..HopPlan::new(local(free_port()), backend.addr()) };
    let inner = contender.launch(inner).start().await.expect("it is installed");
    let outer = HopPlan { send_proxy: headers, ..HopPlan::new(local(free_port()), inner.addr()) };
    let outer = contender.launch(outer).wrapped(["nice", "-n", "1"]).start().await.expect("it is installed");
    let mut client = Wire::connect(outer.addr()).await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    let answer = client.read_to_end().await.text();
    assert!(answer.ends_with("hello"), "{contender}: {answer:?}\n{}", outer.output());
    assert!(outer.usage().sockets >= 1 && inner.usage().cpu < Duration::from_secs(5));
    let pids = [outer.pids(), inner.pids()].concat();
    drop((client, outer, inner));
    for pid in pids {
        assert!(!Path::new(&format!("/proc/{pid}/fd/0")).exists(), "process {pid} of {contender} is left");
    }
}
