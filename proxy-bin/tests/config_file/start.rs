//! What `check` refuses because a start would: the same, in the same words.

use std::fs::{Permissions, set_permissions, write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use insta::assert_snapshot;
use proxy_bin::admin::AdminSockets;
use proxy_bin::config::Ink;

use crate::{ROUTE, good};

fn refused(text: &str, dir: &Path) -> String {
    let errors = good(&format!("{text}{ROUTE}")).suits_a_start().expect_err("it does not start");
    errors.render(Ink::Plain).replace(&*dir.to_string_lossy(), "DIR")
}

fn starts(text: &str) -> bool {
    good(&format!("{text}{ROUTE}")).suits_a_start().is_ok()
}

/// What the start says of `[admin]`.
fn said_at_the_start(text: &str) -> Option<String> {
    let admin = good(&format!("{text}{ROUTE}")).admin.unwrap();
    AdminSockets::bind(&admin).err().map(|error| error.to_string())
}

#[test]
fn a_socket_whose_folder_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| format!("[admin]\nsocket = \"{}/{path}\"\n", dir.path().display());
    let missing = refused(&at("none/a.sock"), dir.path());
    assert_snapshot!(missing.lines().next().unwrap(), @"error: cannot listen on the admin socket DIR/none/a.sock: No such file or directory (os error 2) (make its folder, or have systemd make it: RuntimeDirectory=smartproxy)");
    assert!(missing.contains("proxy.toml:2:10"), "{missing}");
    write(dir.path().join("file"), "").unwrap();
    for path in ["none/a.sock", "file/a.sock", "file"] {
        let text = at(path);
        let said = said_at_the_start(&text)
            .expect("the start refuses it too")
            .replace(&*dir.path().to_string_lossy(), "DIR");
        assert!(refused(&text, dir.path()).starts_with(&format!("error: {said}\n")), "{path}: {said}");
    }
    assert!(starts(&at("a.sock")) && !dir.path().join("a.sock").exists(), "nothing is made");
    // That somebody listens there is no fault of the file: it is checked before a reload.
    let _running = AdminSockets::bind(&good(&format!("{}{ROUTE}", at("a.sock"))).admin.unwrap()).unwrap();
    assert!(starts(&at("a.sock")));
}

#[test]
fn a_token_that_the_start_does_not_take() {
    let dir = tempfile::tempdir().unwrap();
    let token = |name: &str, text: &str, mode: u32| {
        let path = dir.path().join(name);
        write(&path, text).unwrap();
        set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    };
    token("good", "0123456789abcdef", 0o600);
    token("open", "0123456789abcdef", 0o644);
    token("short", "0123", 0o600);
    let at = |name: &str| {
        format!("[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"{}/{name}\"\n", dir.path().display())
    };
    assert!(starts(&at("good")) && said_at_the_start(&at("good")).is_none());
    for name in ["open", "short", "none"] {
        let said = said_at_the_start(&at(name)).unwrap().replace(&*dir.path().to_string_lossy(), "DIR");
        let refused = refused(&at(name), dir.path());
        assert!(refused.starts_with(&format!("error: {said}\n")) && refused.contains(":3:14"), "{refused}");
    }
}

#[test]
fn a_user_that_is_not_there_and_a_log_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let error = refused("[process]\nuser = \"no-such-user\"\n", dir.path());
    assert!(error.contains("no such user on this machine") && error.contains(":2:8"), "{error}");
    let at = |path: &str| format!("[log]\naccess = {{ file = \"{}/{path}\" }}\n", dir.path().display());
    let error = refused(&at("none/access.log"), dir.path());
    assert!(
        error.starts_with("error: cannot open the log file DIR/none/access.log: No such file"),
        "{error}"
    );
    assert!(refused(&at("."), dir.path()).contains("s a directory"));
    assert!(starts(&at("access.log")) && !dir.path().join("access.log").exists(), "nothing is made");
}
