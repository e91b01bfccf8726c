//! The folder: who may read it, and what two who share it see of each other.

#![expect(clippy::unwrap_used, reason = "a failed assumption of a test is its failure")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::UNIX_EPOCH;

use proxy_acme::{Answer, ChallengeKind, Record, Storage, StorageError};
use tempfile::TempDir;

const NAME: &str = "edge.example";
const DIRECTORY: &str = "https://ca.example:14000/dir";

fn folder() -> (TempDir, Storage) {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(&dir.path().join("acme")).unwrap();
    (dir, storage)
}

fn answer() -> Answer {
    Answer::new((NAME, ChallengeKind::Http01), "token", ("token.thumb", &[7; 32]), UNIX_EPOCH)
}

/// The modes of everything below `path`: of folders and of files.
fn modes(path: &Path, folders: &mut Vec<u32>, files: &mut Vec<u32>) {
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    folders.push(mode(path));
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            modes(&path, folders, files);
        } else {
            files.push(mode(&path));
        }
    }
}

#[test]
fn nobody_but_its_user_may_read_any_of_it() {
    let (dir, storage) = folder();
    storage.keep_certificate(NAME, b"a chain and a key").unwrap();
    storage.keep_record(NAME, &Record::default()).unwrap();
    storage.keep_account(DIRECTORY, &"an account").unwrap();
    storage.put_answer(&answer()).unwrap();
    let _lock = storage.lock(NAME).unwrap().unwrap();
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    modes(&dir.path().join("acme"), &mut folders, &mut files);
    assert_eq!(folders, [0o700; 7]);
    assert_eq!(files, [0o600; 5]);
}

#[test]
fn a_folder_that_others_may_enter_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o750)).unwrap();
    let error = Storage::open(dir.path()).unwrap_err();
    assert!(matches!(error, StorageError::Open { mode: 0o750, .. }));
    assert!(error.to_string().ends_with("chmod 700 it"), "{error}");
}

#[test]
fn what_one_keeps_another_reads() {
    let (dir, storage) = folder();
    let other = Storage::open(&dir.path().join("acme")).unwrap();
    assert_eq!(other.certificate(NAME).unwrap(), None);
    assert_eq!(other.record(NAME).unwrap(), Record::default());
    storage.keep_certificate(NAME, b"first").unwrap();
    storage.keep_certificate(NAME, b"second").unwrap();
    let record = Record { failures: 2, ..Record::default() };
    storage.keep_record(NAME, &record).unwrap();
    storage.keep_account(DIRECTORY, &"an account").unwrap();
    assert_eq!(other.certificate(NAME).unwrap().unwrap(), b"second");
    assert_eq!(other.record(NAME).unwrap(), record);
    assert_eq!(other.account::<String>(DIRECTORY).unwrap().unwrap(), "an account");
    other.forget_account(DIRECTORY).unwrap();
    assert_eq!(storage.account::<String>(DIRECTORY).unwrap(), None);
}

#[test]
fn one_at_a_time_has_a_lock_and_it_is_free_when_that_one_is_gone() {
    let (dir, storage) = folder();
    let other = Storage::open(&dir.path().join("acme")).unwrap();
    let held = storage.lock(NAME).unwrap();
    assert!(held.is_some() && other.lock(NAME).unwrap().is_none());
    assert!(other.lock("other.example").unwrap().is_some(), "of another name it is free");
    drop(held);
    assert!(other.lock(NAME).unwrap().is_some());
}

#[test]
fn answers_are_there_until_they_are_taken_back() {
    let (dir, storage) = folder();
    let other = Storage::open(&dir.path().join("acme")).unwrap();
    storage.put_answer(&answer()).unwrap();
    assert_eq!(other.answers(10).unwrap(), [answer()]);
    fs::write(dir.path().join("acme/challenges/half"), "{ \"name\":").unwrap();
    assert_eq!(other.answers(10).unwrap(), [answer()], "what cannot be read is passed over");
    storage.take_answer(NAME).unwrap();
    storage.take_answer(NAME).unwrap();
    assert!(other.answers(10).unwrap().is_empty());
}

#[test]
fn a_name_leads_out_of_the_folder_nowhere() {
    let (_dir, storage) = folder();
    for name in ["", "../key", "a/b", ".hidden", "a\0b", &"a".repeat(254)] {
        let refused = storage.certificate(name).unwrap_err();
        assert!(matches!(refused, StorageError::Name(_)), "{name}: {refused}");
    }
    assert!(storage.certificate(&"a".repeat(253)).unwrap().is_none());
}

#[test]
fn a_record_that_is_broken_is_forgotten() {
    let (dir, storage) = folder();
    fs::write(dir.path().join("acme/records").join(NAME), "not JSON").unwrap();
    assert_eq!(storage.record(NAME).unwrap(), Record::default());
}
