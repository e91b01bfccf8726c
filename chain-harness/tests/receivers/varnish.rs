//! Varnish: closes on every UNKNOWN, and takes 404 bytes of version 2.

use std::process::Command;

use chain_harness::{Peer, scenario};

use super::{BOTH, over_http, sees_every_client, takes};

/// The port is in the first line alone: the rest is Varnish's.
const CONFIG: &str = "# PORT_A
vcl 4.1;
backend default none;
sub vcl_recv { return (synth(200)); }
sub vcl_synth { set resp.http.X-Client = client.ip; return (deliver); }
";

#[test]
fn sees_every_client_of_ours() {
    scenario(async {
        let command = |program: &_, file: &std::path::Path, dir: &std::path::Path| {
            let config = std::fs::read_to_string(file).expect("it was just written");
            let port =
                config.lines().next().and_then(|line| line.strip_prefix("# ")).expect("the first line");
            std::fs::write(file, config.replacen("# ", "// ", 1)).expect("it is ours");
            let mut command = Command::new(program);
            command.args([
                "-F",
                "-j",
                "none",
                "-s",
                "malloc,8m",
                "-p",
                "thread_pools=1",
                "-p",
                "thread_pool_min=10",
            ]);
            command.arg("-n").arg(dir.join("varnish")).arg("-a").arg(format!("127.0.0.1:{port},PROXY"));
            command.arg("-f").arg(file);
            command
        };
        let Some(varnish) = Peer::program("varnishd", "varnish", CONFIG, command).await else { return };
        sees_every_client(varnish.addr(), &BOTH, over_http).await;
        takes(varnish.addr(), 404, over_http).await;
    });
}
