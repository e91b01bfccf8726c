//! Two hops that are to prove to each other that they are: whether the files of both fit.

use std::path::Path;
use std::time::{Duration, SystemTime};

use proxy_bin::config::{Between, Config, Ink, between};
use proxy_bin::hop_cert::hop_cert;
use proxy_cli::HopCert;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Makes files of the hops `outer` and `inner` for so many days, as of so many days ago.
fn made(folder: &Path, days: u32, ago: u32) {
    let names = vec!["outer".to_owned(), "inner".to_owned()];
    let asked = HopCert { names, folder: folder.to_path_buf(), days, next_authority: false };
    hop_cert(&asked, SystemTime::now() - DAY * ago).unwrap();
}

fn outer(hop: &str) -> String {
    format!(
        "[[routes]]\nname = \"in\"\nmatch = {{ ports = [443] }}\naction = {{ forward = [\"10.0.0.2:8443\"] }}\n{hop}\n"
    )
}

fn inner(hop: &str) -> String {
    format!(
        "[[listeners]]\nports = [8443]\n{hop}\n[[routes]]\nname = \"web\"\nmatch = {{ ports = [8443] }}\n\
         action = {{ forward = [\"127.0.0.1:80\"] }}\n"
    )
}

fn compared(outer: &str, inner: &str) -> Between {
    let parsed = |text: &str, name: &str| Config::parse(text, name).unwrap();
    between(&parsed(outer, "outer.toml"), &parsed(inner, "inner.toml"), 0)
}

/// The titles of what is found, the outer one's first.
fn found(outer: &str, inner: &str) -> Vec<String> {
    let between = compared(outer, inner);
    assert_eq!(between.routes, 1);
    let all = [between.outer, between.inner].map(|list| list.render(Ink::Plain) + "\n").concat();
    all.lines().filter_map(|line| line.strip_prefix("warning: ")).map(str::to_owned).collect()
}

#[test]
fn hops_of_one_authority_fit() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), 365, 0);
    let hop = |name: &str| format!("hop = \"{}/{name}.pem\"", dir.path().display());
    let between = compared(&outer(&hop("outer")), &inner(&hop("inner")));
    assert_eq!((between.routes, between.proxies), (1, 1));
    assert!(between.outer.is_empty() && between.inner.is_empty(), "{:?} {:?}", between.outer, between.inner);
    // A folder with the same is the same.
    let folder = dir.path().join("of-inner");
    std::fs::create_dir(&folder).unwrap();
    std::fs::rename(dir.path().join("inner.pem"), folder.join("hop.pem")).unwrap();
    assert_eq!(found(&outer(&hop("outer")), &inner(&format!("hop = \"{}\"", folder.display()))), [""; 0]);
}

#[test]
fn one_that_would_refuse_the_other_says_why() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    made(dir.path(), 365, 0);
    made(other.path(), 365, 0);
    let hop = |of: &Path, name: &str| format!("{}/{name}.pem", of.display());
    let line = |of: &Path, name: &str| format!("hop = \"{}\"", hop(of, name));
    assert_eq!(
        found(&outer(&line(dir.path(), "outer")), &inner(&line(other.path(), "inner"))),
        [
            "inner.toml refuses the hop outer: the certificate of outer is of none of the authorities in the file of this hop",
            "outer.toml refuses the hop inner: the certificate of inner is of none of the authorities in the file of this hop",
        ]
    );
    let named = format!("hop = {{ identity = \"{}\", names = [\"edge\"] }}", hop(dir.path(), "inner"));
    assert_eq!(
        found(&outer(&line(dir.path(), "outer")), &inner(&named)),
        ["inner.toml refuses the hop outer: the certificate of outer has none of the names that are let in"]
    );
    made(other.path(), 30, 40);
    let [of_outer, of_inner] = <[String; 2]>::try_from(found(
        &outer(&line(other.path(), "outer")),
        &inner(&line(other.path(), "inner")),
    ))
    .unwrap();
    assert_eq!(of_outer, "inner.toml refuses the hop outer: the peer's certificate has expired");
    assert_eq!(of_inner, "outer.toml refuses the hop inner: the peer's certificate has expired");
    made(other.path(), 30, 20);
    let soon = found(&outer(&line(other.path(), "outer")), &inner(&line(other.path(), "inner")));
    assert!(
        soon.iter().all(|title| title.contains("is valid for 9 days more")) && soon.len() == 2,
        "{soon:?}"
    );
}

#[test]
fn one_end_alone_has_no_effect_but_that_nothing_goes_through() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), 365, 0);
    let hop = |name: &str| format!("hop = \"{}/{name}.pem\"", dir.path().display());
    assert_eq!(
        found(&outer(&hop("outer")), &inner("")),
        ["*:8443 takes no hops, and route \"in\" of outer.toml goes there as one"]
    );
    assert_eq!(
        found(&outer("send_proxy = \"v2\"\nnext_hop = \"smartproxy\""), &inner(&hop("inner"))),
        ["*:8443 of inner.toml takes hops alone, and route \"in\" does not go there as one"]
    );
}
