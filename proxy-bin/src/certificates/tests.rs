//! Certificates that change while they are presented.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proxy_tls::rustls::SignatureScheme;
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;

/// A certificate for `name` and its key.
fn made(name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn write(path: &Path, text: &str) {
    // As those who renew do: another file of the same name.
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

fn write_pair(dir: &Path, file: &str, name: &str) {
    let (certificate, key) = made(name);
    std::fs::create_dir_all(dir.join(file).parent().unwrap()).unwrap();
    write(&dir.join(format!("{file}.crt")), &certificate);
    write(&dir.join(format!("{file}.key")), &key);
}

fn wanted(source: &Source) -> Wanted {
    Wanted { sources: vec![source.clone()], default: false }
}

fn files(dir: &Path, file: &str) -> Source {
    Source::Files(Pair {
        certificate: dir.join(format!("{file}.crt")),
        key: Some(dir.join(format!("{file}.key"))),
    })
}

/// A registry that presents what a source has.
struct Presented {
    dir: TempDir,
    registry: Arc<Registry>,
    store: Arc<proxy_tls::CertificateStore>,
}

impl Presented {
    fn new(source: impl Fn(&Path) -> Source, files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        files.iter().for_each(|(file, name)| write_pair(dir.path(), file, name));
        let source = source(dir.path());
        let registry = Arc::new(Registry::default());
        let selection = Selection::read(&registry, &[source.clone()].into());
        assert_eq!(selection.wrong(&source), []);
        let store = selection.store(wanted(&source), "route".into());
        selection.put_in_force();
        Self { dir, registry, store }
    }

    fn has(&self, name: &str) -> bool {
        self.store.current().find(Some(name), &[SignatureScheme::ECDSA_NISTP256_SHA256]).is_some()
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn look(&self, seconds: u64, since: Instant) -> Seen {
        self.registry.look(since + Duration::from_secs(seconds))
    }
}

#[test]
fn what_has_changed_is_presented_and_nothing_else_is_read() {
    let shown = Presented::new(
        |dir| Source::Folder(dir.to_path_buf()),
        &[("a", "one.example"), ("b", "two.example")],
    );
    let began = Instant::now();
    let before = shown.store.current();
    assert!(shown.look(0, began).replaced.is_empty());
    assert!(Arc::ptr_eq(&before, &shown.store.current()), "nothing has changed");
    write_pair(shown.path(), "b", "three.example");
    write_pair(shown.path(), "c", "four.example");
    let seen = shown.look(1, began);
    assert_eq!(seen.replaced, [(Source::Folder(shown.path().to_path_buf()), 2)]);
    assert_eq!(
        ["one", "two", "three", "four"].map(|name| shown.has(&format!("{name}.example"))),
        [true, false, true, true]
    );
    std::fs::remove_file(shown.path().join("a.crt")).unwrap();
    assert_eq!(shown.look(2, began).replaced, [(Source::Folder(shown.path().to_path_buf()), 0)]);
    assert!(!shown.has("one.example") && shown.has("four.example"));
}

#[test]
fn a_certificate_without_its_key_yet_changes_nothing() {
    let shown = Presented::new(|dir| files(dir, "a"), &[("a", "one.example")]);
    let began = Instant::now();
    let (certificate, key) = made("two.example");
    write(&shown.path().join("a.crt"), &certificate);
    let seen = shown.look(0, began);
    assert!(seen.replaced.is_empty() && seen.failed.len() == 1);
    assert!(shown.look(1, began).failed.is_empty(), "it is told of once");
    assert!(shown.look(100, began).replaced.is_empty(), "however long it lasts");
    assert!(shown.has("one.example") && shown.registry.troubles().len() == 1);
    write(&shown.path().join("a.key"), &key);
    assert_eq!(shown.look(101, began).replaced.len(), 1);
    assert!(shown.has("two.example") && shown.registry.troubles().is_empty());
}

#[test]
fn a_folder_is_taken_whole_but_one_that_stays_broken_holds_up_no_other() {
    let shown = Presented::new(
        |dir| Source::Folder(dir.to_path_buf()),
        &[("a", "one.example"), ("b", "two.example")],
    );
    let began = Instant::now();
    write(&shown.path().join("a.key"), "-----BEGIN PRIVATE KEY-----\n!!\n");
    write_pair(shown.path(), "b", "three.example");
    for at in [0, 59] {
        assert!(shown.look(at, began).replaced.is_empty());
        assert!(shown.has("one.example") && shown.has("two.example"));
    }
    assert_eq!(shown.look(60, began).replaced.len(), 1);
    assert!(shown.has("one.example") && shown.has("three.example") && !shown.has("two.example"));
    assert_eq!(shown.registry.troubles().len(), 1);
}

#[test]
fn a_folder_that_is_gone_or_empty_changes_nothing() {
    let shown = Presented::new(|dir| Source::Folder(dir.join("live")), &[("live/a", "one.example")]);
    let (began, live) = (Instant::now(), shown.path().join("live"));
    std::fs::rename(&live, shown.path().join("away")).unwrap();
    assert_eq!(shown.look(0, began).failed.len(), 1);
    std::fs::create_dir(&live).unwrap();
    assert!(shown.look(200, began).replaced.is_empty());
    assert!(shown.has("one.example"));
    std::fs::remove_dir(&live).unwrap();
    std::fs::rename(shown.path().join("away"), &live).unwrap();
    assert_eq!(shown.look(201, began).mended.len(), 1);
}

#[test]
fn the_next_configuration_has_the_same_store_and_fills_it_once_it_is_in_force() {
    let shown = Presented::new(|dir| files(dir, "a"), &[("a", "one.example")]);
    let source = files(shown.path(), "a");
    write_pair(shown.path(), "a", "two.example");
    let next = Selection::read(&shown.registry, &[source.clone()].into());
    let store = next.store(wanted(&source), "other".into());
    assert!(Arc::ptr_eq(&store, &shown.store));
    assert!(shown.has("one.example") && !shown.has("two.example"), "it may be refused yet");
    next.put_in_force();
    assert!(shown.has("two.example"));
    let listed = shown.registry.listed();
    assert_eq!(listed.iter().map(|one| one.routes.clone()).collect::<Vec<_>>(), [vec![Arc::from("other")]]);
    let other = Wanted { sources: vec![source.clone()], default: true };
    let next = Selection::read(&shown.registry, &[source].into());
    assert!(!Arc::ptr_eq(&next.store(other, "other".into()), &shown.store), "asked for in another way");
}

#[test]
fn the_folders_to_watch_are_those_of_files_and_those_that_are_named() {
    let shown = Presented::new(|dir| Source::Folder(dir.to_path_buf()), &[("live/a", "one.example")]);
    assert_eq!(shown.registry.folders(), [shown.path().to_path_buf(), shown.path().join("live")]);
    let none: [PathBuf; 0] = [];
    assert_eq!(Registry::default().folders(), none);
}
