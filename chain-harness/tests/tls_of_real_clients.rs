//! Real clients through TLS at both hops: client → outer (ends TLS, speaks TLS to the inner) → inner (ends it) → backend.
//!
//! ```text
//! cargo test -p chain-harness --test tls_of_real_clients -- --ignored --nocapture
//! ```
//! Of those that are not installed it says so. `docs/tls.md` has what it came to.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use chain_harness::{Backend, Hop, PATIENCE, Root, eventually, scenario};
use proxy_conn::Cause;

const SAID: &str = "hello through two hops";

/// A client: its name, how it says its version, and a shell's words that print what `https://localhost:$PORT/` answers. `$CA` is the
/// root's file, `$DIR` a folder of its own.
struct Client {
    name: &'static str,
    version: &'static str,
    asks: &'static str,
}

const CLIENTS: [Client; 9] = [
    Client {
        name: "curl",
        version: "curl --version",
        asks: "curl -sS --cacert $CA https://localhost:$PORT/",
    },
    Client {
        name: "openssl s_client",
        version: "openssl version",
        asks: "printf 'GET / HTTP/1.1\\r\\nhost: localhost\\r\\n\\r\\n' | openssl s_client -quiet -no_ign_eof -ign_eof \
               -verify_return_error -CAfile $CA -servername localhost -connect 127.0.0.1:$PORT",
    },
    Client {
        name: "Python (urllib)",
        version: "python3 --version",
        asks: "python3 -c 'import sys, ssl, urllib.request as u; c = ssl.create_default_context(cafile=sys.argv[1]); \
               print(u.urlopen(sys.argv[2], context=c, timeout=20).read().decode())' $CA https://localhost:$PORT/",
    },
    Client {
        name: "Node",
        version: "node --version",
        asks: "NODE_EXTRA_CA_CERTS=$CA node -e 'require(\"https\").get(process.argv[1], r => r.pipe(process.stdout))' \
               https://localhost:$PORT/",
    },
    Client {
        name: "Java",
        version: "java --version",
        asks: "keytool -importcert -noprompt -keystore $DIR/trust.p12 -storepass changeit -file $CA >/dev/null 2>&1; \
               java -Djavax.net.ssl.trustStore=$DIR/trust.p12 -Djavax.net.ssl.trustStorePassword=changeit $DIR/Get.java \
               https://localhost:$PORT/",
    },
    Client {
        name: "wget (GnuTLS)",
        version: "wget --version",
        asks: "wget -q -O - --ca-certificate=$CA https://localhost:$PORT/",
    },
    Client {
        name: "gnutls-cli",
        version: "gnutls-cli --version",
        asks: "(printf 'GET / HTTP/1.1\\r\\nhost: localhost\\r\\n\\r\\n'; sleep 1) | gnutls-cli --x509cafile=$CA \
               --port $PORT localhost",
    },
    Client {
        name: "Chromium",
        version: "chromium --version",
        asks: "chromium --headless --no-sandbox --disable-gpu --user-data-dir=$DIR/chromium --ignore-certificate-errors \
               --dump-dom https://localhost:$PORT/",
    },
    Client {
        name: "Firefox",
        version: "firefox-esr --version",
        asks: "mkdir -p $DIR/firefox && certutil -N -d sql:$DIR/firefox --empty-password && \
               certutil -A -d sql:$DIR/firefox -n test -t C,, -i $CA && HOME=$DIR firefox-esr --headless \
               --profile $DIR/firefox --screenshot $DIR/seen.png https://localhost:$PORT/ && test -s $DIR/seen.png && \
               echo 'hello through two hops (a picture of it)'",
    },
];

/// What Java runs.
const JAVA: &str = "import java.net.*; public class Get { public static void main(String[] a) throws Exception { \
    try (var in = new URL(a[0]).openStream()) { System.out.print(new String(in.readAllBytes())); } } }";

fn shell(words: &str, dir: &Path, port: u16) -> (bool, String) {
    let mut command = Command::new("timeout");
    command.args(["60", "sh", "-c", words]).stdin(Stdio::null());
    command.env("CA", dir.join("root.pem")).env("DIR", dir).env("PORT", port.to_string());
    let output = command.output().expect("a shell is there");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// The first line of what a program says of its version; None where it is not there.
fn version(client: &Client, dir: &Path) -> Option<String> {
    let program = client.version.split_whitespace().next()?;
    shell(&format!("command -v {program}"), dir, 0).0.then_some(())?;
    shell(client.version, dir, 0).1.lines().next().map(str::to_owned)
}

/// Both hops, the inner one first.
fn hops(dir: &Path, backend: &Backend) -> [Hop; 2] {
    let dir = dir.to_string_lossy();
    let inner = Hop::start(&format!(
        "[[listeners]]\nports = [PORT_A]\nbind = [\"127.0.0.1\"]\naccept_proxy = {{ required = [\"127.0.0.0/8\"] }}\n\
         [[routes]]\nname = \"inner\"\nmatch = {{ ports = [PORT_A] }}\naction = {{ forward = [\"{}\"] }}\n\
         tls = {{ terminate = {{ certificates = [{{ certificate = \"{dir}/inner.pem\" }}] }} }}\n",
        backend.addr()
    ));
    let outer = Hop::start(&format!(
        "[[listeners]]\nports = [PORT_A]\nbind = [\"127.0.0.1\"]\n\
         [[routes]]\nname = \"outer\"\nmatch = {{ ports = [PORT_A] }}\naction = {{ forward = [\"{}\"] }}\n\
         send_proxy = \"v2\"\nnext_hop = \"smartproxy\"\n\
         [routes.tls]\nterminate = {{ certificates = [{{ certificate = \"{dir}/outer.pem\" }}] }}\n\
         reencrypt = {{ trust = {{ roots = \"{dir}/root.pem\" }}, server_name = \"inner.test\" }}\n",
        inner.addr()
    ));
    [inner, outer]
}

#[test]
#[ignore = "it starts browsers: see the head of this file"]
fn each_that_is_installed_gets_its_answer() {
    scenario(async {
        let (dir, root) = (tempfile::tempdir().expect("there is room for a file"), Root::new());
        let write = |name: &str, text: &str| {
            fs::write(dir.path().join(name), text).expect("there is room for a file");
        };
        write("root.pem", &root.pem());
        write("inner.pem", &root.certificate(&["inner.test"]));
        write("outer.pem", &root.certificate(&["localhost"]));
        write("Get.java", JAVA);
        let backend = Backend::answers(SAID);
        let [inner, outer] = hops(dir.path(), &backend);
        println!("| client | answer | how its connections ended at the outer hop |\n|---|---|---|");
        let mut failed = Vec::new();
        for client in &CLIENTS {
            let Some(version) = version(client, dir.path()) else {
                println!("| {} | not installed | |", client.name);
                continue;
            };
            let before = outer.ends().len();
            let (path, port) = (dir.path().to_owned(), outer.addr().port());
            let asks = client.asks;
            let (_, said) = tokio::task::spawn_blocking(move || shell(asks, &path, port))
                .await
                .expect("a shell does not panic");
            eventually(PATIENCE, || outer.permits() == 0).await;
            let ended: Vec<_> = outer.ends().into_iter().skip(before).map(|end| end.cause).collect();
            let causes: std::collections::BTreeSet<_> = ended.iter().map(|cause| cause.name()).collect();
            let causes: Vec<_> = causes.into_iter().collect();
            let served = said.contains(SAID);
            println!(
                "| {} ({version}) | {} | {} |",
                client.name,
                if served { "whole" } else { "none" },
                causes.join(", ")
            );
            let fine = [Cause::Finished, Cause::ClientTruncated, Cause::ClientReset, Cause::ClientLeft];
            if !served || !ended.iter().all(|cause| fine.contains(cause)) {
                failed.push(format!("{}: {ended:?}: {said}", client.name));
            }
        }
        assert!(failed.is_empty(), "{failed:#?}");
        outer.empties(PATIENCE).await;
        inner.empties(PATIENCE).await;
    });
}
