use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn run(folder: &Path, names: &[&str], next_authority: bool, now: SystemTime) -> Result<String, HopCertError> {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    hop_cert(&HopCert { names, folder: folder.to_path_buf(), days: 365, next_authority }, now)
}

fn hop(folder: &Path, name: &str) -> Hop {
    let text = std::fs::read(folder.join(format!("{name}.pem"))).unwrap();
    Hop::from_pem(&text, Vec::new()).unwrap()
}

#[test]
fn what_is_made_is_taken_both_ways_for_as_long_as_it_says_and_is_read_by_its_owner_alone() {
    let (dir, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let said = run(dir.path(), &["outer.1", "in_ner"], false, now).unwrap();
    assert!(
        said.contains("a new authority") && said.contains(&Day::of(now + 365 * DAY).to_string()),
        "{said}"
    );
    let (outer, inner) = (hop(dir.path(), "outer.1"), hop(dir.path(), "in_ner"));
    assert_eq!((outer.name(), inner.name()), ("outer.1", "in_ner"));
    for at in [now - DAY / 48, now, now + 364 * DAY] {
        outer.takes(&inner, at).unwrap();
        inner.takes(&outer, at).unwrap();
    }
    let late = outer.takes(&inner, now + 366 * DAY).unwrap_err().to_string();
    assert_eq!(late, "the peer's certificate has expired");
    for file in ["outer.1.pem", "hop-authority.pem"] {
        let mode = std::fs::metadata(dir.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // Renewed by the same authority, all that are there where none is named.
    let later = now + 300 * DAY;
    assert!(!run(dir.path(), &[], false, later).unwrap().contains("a new authority"));
    hop(dir.path(), "outer.1").takes(&inner, later).unwrap();
    inner.takes(&hop(dir.path(), "outer.1"), later).unwrap();
}

#[test]
fn at_no_step_to_another_authority_does_a_hop_with_an_old_or_a_new_file_refuse_another() {
    let (dir, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    run(dir.path(), &["outer", "inner"], false, now).unwrap();
    let first = hop(dir.path(), "outer");
    let mut before = [hop(dir.path(), "outer"), hop(dir.path(), "inner")];
    for step in 1..=3 {
        let said = run(dir.path(), &[], true, now).unwrap();
        assert!(said.starts_with(&format!("Step {step} of 3: ")), "{said}");
        let after = [hop(dir.path(), "outer"), hop(dir.path(), "inner")];
        for one in before.iter().chain(&after) {
            for other in before.iter().chain(&after) {
                one.takes(other, now).unwrap();
            }
        }
        before = after;
    }
    for wrong in [first.takes(&before[1], now), before[1].takes(&first, now)] {
        assert!(wrong.unwrap_err().to_string().contains("is of none of the authorities"));
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3, "outer, inner and the authority");
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_written_over() {
    let (dir, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let refused = |names: &[&str]| run(dir.path(), names, false, now).unwrap_err().to_string();
    assert_eq!(refused(&[]), "which hops? Name them, such as: smartproxy hop-cert outer inner");
    for name in ["", "a/b", "..", "-x", "hop-authority", "ä"] {
        assert!(refused(&[name]).contains("is no name for a hop"), "{name}");
    }
    std::fs::write(dir.path().join("web.pem"), "somebody's").unwrap();
    assert!(refused(&["web"]).contains("web.pem is there, and is no hop's"));
    assert_eq!(std::fs::read_to_string(dir.path().join("web.pem")).unwrap(), "somebody's");
    std::fs::write(dir.path().join("hop-authority.pem"), "nothing").unwrap();
    assert!(refused(&["outer"]).contains("hop-authority.pem cannot be used: it has no certificate"));
}

#[test]
fn who_was_shut_out_stays_so_when_the_others_are_renewed() {
    let (dir, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    run(dir.path(), &["outer", "inner"], false, now).unwrap();
    let list = "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n";
    let file = dir.path().join("inner.pem");
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{list}{before}# a remark\n{list}")).unwrap();
    for _ in 0..2 {
        run(dir.path(), &[], false, now).unwrap();
        let after = std::fs::read_to_string(&file).unwrap();
        assert_eq!(after.matches(list).count(), 2, "{after}");
        assert_ne!(after, before);
    }
    assert!(!std::fs::read_to_string(dir.path().join("outer.pem")).unwrap().contains("BEGIN X509 CRL"));
}

#[test]
fn a_folder_that_is_not_there_is_made_for_its_owner_alone() {
    let (dir, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let folder = dir.path().join("hops");
    assert!(run(&folder, &[], false, now).is_err(), "there is none to renew");
    run(&folder, &["outer"], false, now).unwrap();
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(hop(&folder, "outer").name(), "outer");
}
