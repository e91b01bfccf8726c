//! A file that can not be read at all.

use std::error::Error;
use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use proxy_bin::config::{Config, LoadError};

use crate::ROUTE;

/// Writes a file, loads it, and says why that failed, with the folder's name left out.
fn refusal(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    fs::write(&path, bytes).unwrap();
    message(&path, folder.path())
}

fn message(path: &Path, folder: &Path) -> String {
    Config::load(path).unwrap_err().to_string().replace(&*folder.to_string_lossy(), "/etc")
}

#[test]
fn a_good_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    fs::write(&path, ROUTE).unwrap();
    assert_eq!(Config::load(&path).unwrap().settings.routes.len(), 1);
}

#[test]
fn no_file() {
    let folder = tempfile::tempdir().unwrap();
    assert_snapshot!(message(&folder.path().join("proxy.toml"), folder.path()), @"there is no configuration file /etc/proxy.toml");
}

#[test]
fn a_directory() {
    let folder = tempfile::tempdir().unwrap();
    assert_snapshot!(message(folder.path(), folder.path()), @"/etc is a directory: name the configuration file in it");
}

#[test]
fn a_path_through_a_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Config::load(file.path().join("proxy.toml")).unwrap_err();
    assert!(matches!(error, LoadError::Unreadable { .. }));
    assert_snapshot!(error.source().unwrap(), @"Not a directory (os error 20)");
}

#[test]
fn not_utf8() {
    assert_snapshot!(refusal(b"workers = 2\n# caf\xe9\n"), @"the configuration file /etc/proxy.toml is not UTF-8 text: see byte 18 in line 2");
}

#[test]
fn too_large() {
    assert_snapshot!(refusal(&vec![b'\n'; (16 << 20) + 1]), @"the configuration file /etc/proxy.toml has more than 16 MiB");
}

#[test]
fn a_bad_one() {
    assert_snapshot!(refusal(b"workers = 0\n"), @"
error: expected a whole number from 1 to 256
 --> /etc/proxy.toml:1:11
  |
1 | workers = 0
  |           ^ this is the number 0
");
}

#[test]
fn windows_line_ends_and_a_byte_order_mark() {
    let text = format!("\u{feff}{ROUTE}worker = 1\n").replace('\n', "\r\n");
    assert_snapshot!(refusal(text.as_bytes()), @"
error: unknown key `worker`
 --> /etc/proxy.toml:6:1
  |
6 | worker = 1
  | ^^^^^^ not a key that is known here
  |
  = help: the keys here are `name`, `priority`, `enabled`, `match`, `action`, `send_proxy`, `next_hop`, `proxy_v1`, `proxy_v2`, `pool`, `max_connections`, `max_connections_per_target`, `at_limit`, `breaker`, `timeouts`, `keep_alive`, `congestion`, `source`, `interface`, `mark`, `tls`, `hop`, `http`
");
}

/// What would be waited for, or never ends, is no file; `check`, a start and a reload say so at once.
#[test]
fn a_pipe_and_a_device() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("proxy.toml");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).unwrap();
    assert_snapshot!(message(&pipe, folder.path()), @"the configuration file /etc/proxy.toml is a pipe (FIFO): copy what it would say into a file");
    assert_snapshot!(message(Path::new("/dev/zero"), folder.path()), @"the configuration file /dev/zero is a device: copy what it would say into a file");
}

#[test]
fn what_the_system_said_is_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().join("proxy.toml");
    let said = Config::load(&path).unwrap_err().to_string();
    assert_eq!(
        said,
        format!("cannot read the configuration file {}: Not a directory (os error 20)", path.display())
    );
}
