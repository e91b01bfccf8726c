//! Five thousand names with a certificate each: what a start, a reload, a look-up and the memory for them cost. The figures are printed
//! (`--nocapture`); what is held here is what does not depend on how the test is compiled, and that nothing is out of all proportion.
#![expect(clippy::print_stdout, reason = "the figures are for whoever reads them")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chain_harness::Root;
use proxy_bin::certificates::Registry;
use proxy_bin::config::Config;
use proxy_tls::rustls::SignatureScheme;
use tokio::time::Instant;

const NAMES: usize = 5000;
const LOOK_UPS: u32 = 200_000;

/// Resident memory a name, everything included: 6 KiB.
const MOST_MEMORY: usize = 6 << 10;

/// A look-up in a table that is compiled without optimisation; 200 ns are the bar of one that is optimised.
const MOST_LOOK_UP: Duration = Duration::from_micros(4);

fn name(n: usize) -> String {
    format!("host-{n}.some-customer.example")
}

/// A chain as authorities issue them: of two certificates, with the key of the first.
fn write_all(root: &Root, folder: &Path) {
    let issuer = root.pem();
    for n in 0..NAMES {
        let own = root.certificate(&[&name(n)]);
        std::fs::write(folder.join(format!("{}.pem", name(n))), own + &issuer)
            .expect("there is room for a file");
    }
}

fn in_folder(folder: &Path) -> String {
    format!("certificates = [{{ folder = \"{}\" }}]", folder.display())
}

fn each_by_itself(folder: &Path) -> String {
    let mut text = "certificates = [\n".to_owned();
    for n in 0..NAMES {
        writeln!(text, "{{ certificate = \"{}\" }},", folder.join(format!("{}.pem", name(n))).display())
            .expect("it is a text");
    }
    text + "]"
}

fn config(certificates: &str) -> String {
    format!(
        "[[routes]]\nname = \"edge\"\nmatch = {{ ports = [443] }}\naction = {{ forward = [\"127.0.0.1:80\"] }}\n\
         [routes.tls.terminate]\n{certificates}\n"
    )
}

/// Bytes of memory that this process has.
fn resident() -> usize {
    let all = std::fs::read_to_string("/proc/self/statm").expect("the kernel says");
    let pages: usize = all.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("it is a number");
    pages * 4096
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let done = work();
    (done, began.elapsed())
}

/// What one takes whose certificates are written like this.
fn measure(what: &str, text: &str) {
    let registry = Arc::new(Registry::default());
    let parse = || {
        let config = Config::parse_with(text, "test.toml", &registry).expect("it is good");
        config.certificates.put_in_force();
        config
    };
    let before = resident();
    let (first, start) = timed(parse);
    let memory = resident().saturating_sub(before) / NAMES;
    // Where the bytes of each are.
    let places =
        || registry.listed().iter().map(|one| one.certificate.chain().as_ptr() as usize).collect::<Vec<_>>();
    let read_first = places();
    let (second, reload) = timed(parse);
    assert!(places() == read_first, "what has not changed is not read again");
    drop(first);
    let route = second.settings.routes.routes().next().expect("there is one");
    let store = Arc::clone(&route.payload.tls.terminate.as_ref().expect("it ends TLS").certificates);
    let names: Vec<_> = (0..NAMES).map(name).collect();
    let current = store.current();
    let takes = [SignatureScheme::ECDSA_NISTP256_SHA256];
    assert!(names.iter().all(|name| current.find(Some(name), &takes).is_some()));
    let (_, looked_up) = timed(|| {
        for name in names.iter().cycle().take(LOOK_UPS as usize) {
            black_box(current.find(Some(black_box(name)), &takes));
        }
    });
    let (seen, look) = timed(|| registry.look(Instant::now()));
    assert!(seen.replaced.is_empty() && seen.failed.is_empty());
    let look_up = looked_up / LOOK_UPS;
    println!(
        "{what}: start {start:?}, reload {reload:?}, look {look:?}, look-up {look_up:?}, {memory} bytes a name"
    );
    assert!(memory <= MOST_MEMORY, "{memory} bytes a name");
    assert!(look_up <= MOST_LOOK_UP, "{look_up:?}");
}

#[test]
fn five_thousand_certificates_are_read_once_and_take_little() {
    let dir = tempfile::tempdir().expect("there is room for a folder");
    write_all(&Root::new(), dir.path());
    measure("in a folder", &config(&in_folder(dir.path())));
    measure("each by itself", &config(&each_by_itself(dir.path())));
}
