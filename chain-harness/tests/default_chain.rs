//! The embedded chain, as somebody new meets it: one command, one request, and it tells what happened.

use std::net::SocketAddr;

use chain_harness::{Ending, PATIENCE, Process, Smartproxy, Wire, free_port};

#[test]
fn tells_the_client_and_both_hops() {
    Smartproxy::scenario(async {
        let [outer, inner, backend] = [free_port(), free_port(), free_port()];
        let mut command = Smartproxy::command();
        for (name, port) in
            [("demo", None), ("--outer", Some(outer)), ("--inner", Some(inner)), ("--backend", Some(backend))]
        {
            command.arg(name).args(port.map(|port| port.to_string()));
        }
        let mut demo = Process::start(&mut command);
        demo.listens_on(outer).await;
        demo.says(&format!("http://127.0.0.1:{outer}/")).await;
        let mut client = Wire::connect(SocketAddr::from(([127, 0, 0, 1], outer))).await;
        client.send("GET /path HTTP/1.1\r\nhost: chain\r\nconnection: close\r\n\r\n").await;
        let answer = client.read_to_end().await;
        assert_eq!(answer.end, Some(Ending::Fin));
        let (page, addr) = (answer.text(), client.local_addr());
        assert!(page.contains("chain of 2 proxies"), "{page}");
        assert!(page.contains(&format!("client   {addr} ")), "{addr}: {page}");
        assert!(page.contains("GET /path"), "{page}");
        let ids = page.lines().find(|line| line.starts_with("ids")).unwrap_or_default();
        assert_eq!(ids.matches(" -> ").count(), 1, "{ids}");
        drop(client);
        demo.terminate();
        assert_eq!(demo.exit_code(PATIENCE).await, 0, "{}", demo.output());
    });
}
