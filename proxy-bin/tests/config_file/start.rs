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
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("s.sock")).unwrap();
    let error = refused(&at("s.sock"), dir.path());
    assert!(
        error.starts_with("error: cannot open the log file DIR/s.sock: it is a socket, not a file\n"),
        "{error}"
    );
    assert!(starts(&at("access.log")) && !dir.path().join("access.log").exists(), "nothing is made");
}

/// What is there to warn of, although the file is good.
fn awaited(text: &str) -> String {
    good(&format!("{text}{ROUTE}")).awaited_at_a_start().render(Ink::Plain)
}

#[test]
fn an_address_that_no_interface_has_is_a_warning_in_the_words_of_the_start() {
    assert_snapshot!(awaited("[[listeners]]\nbind = [\"127.0.0.1\", \"192.0.2.1\"]\n"), @r#"
    warning: cannot listen on 192.0.2.1:8080: Cannot assign requested address (os error 99)
     --> proxy.toml:2:22
      |
    2 | bind = ["127.0.0.1", "192.0.2.1"]
      |                      ^^^^^^^^^^^
      |
      = help: no interface of this machine has this address: change `bind` in [[listeners]]
    "#);
    assert_snapshot!(awaited("[admin]\nlisten = \"192.0.2.1:9000\"\ntoken_file = \"t\"\n"), @r#"
    warning: cannot listen on 192.0.2.1:9000 for the admin API: Cannot assign requested address (os error 99)
     --> proxy.toml:2:10
      |
    2 | listen = "192.0.2.1:9000"
      |          ^^^^^^^^^^^^^^^^
      |
      = help: no interface of this machine has this address: change [admin] listen
    "#);
    assert_eq!(awaited("[[listeners]]\nbind = [\"127.0.0.1\", \"127.9.9.9\", \"0.0.0.0\"]\n"), "");
}

#[test]
fn a_log_that_is_a_pipe_needs_a_reader() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
    let told = awaited(&format!("[log]\naccess = {{ file = \"{}\" }}\n", path.display()));
    let told = told.replace(&*dir.path().to_string_lossy(), "DIR").replace('^', "");
    assert_snapshot!(told, @r#"
    warning: the log file DIR/pipe is a pipe
     --> proxy.toml:2:10
      |
    2 | access = { file = "DIR/pipe" }
      |           a start fails where nobody reads from this pipe
    "#);
}

#[test]
fn a_header_that_is_believed_from_everybody() {
    let warned = |text: &str| good(&format!("{text}{ROUTE}")).warnings.render(Ink::Plain);
    let all = "accept_proxy = { required = [\"10.0.0.0/8\", \"0.0.0.0/0\"] }\n";
    assert_snapshot!(warned(&format!("[[listeners]]\n{all}")), @r#"
    warning: a PROXY header is believed from everybody
     --> proxy.toml:2:44
      |
    2 | accept_proxy = { required = ["10.0.0.0/8", "0.0.0.0/0"] }
      |                                            ^^^^^^^^^^^ whoever can connect here may claim any address as a client's
      |
      = help: write the addresses of the proxies before this one, or `bind` to an address that only they can reach
    "#);
    assert_eq!(warned(&format!("[[listeners]]\nbind = [\"127.0.0.1\"]\n{all}")), "");
}
