//! A file that is watched, in a folder where other things happen too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::running::Running;

const CONFIG: &str = r#"
workers = 1
[reload]
watch = true
[[listeners]]
bind = ["127.0.0.1"]
[[routes]]
name = "web"
match = { ports = [PORT] }
action = { forward = ["BACKEND"] }
"#;

/// Writes another file of the folder ten times a second until it is dropped.
struct Noise(Arc<AtomicBool>);

impl Noise {
    fn beside(proxy: &Running) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (file, end) = (proxy.dir.path().join("access.log"), Arc::clone(&over));
        std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                std::fs::write(&file, "a line\n").unwrap_or_default();
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Self(over)
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn another_file_that_is_written_all_the_time_hides_no_change() {
    let proxy = Running::start(CONFIG);
    proxy.says("watching the configuration file");
    let _noise = Noise::beside(&proxy);
    proxy.rewrite(&format!("{CONFIG}max_connections = 7\n"));
    proxy.says("reloaded: the new configuration is in force");
    assert_eq!(proxy.output().matches("the configuration file has changed").count(), 1, "{}", proxy.output());
}

/// As orchestrators do it: the file is a link through a folder's link, and only that is replaced.
#[test]
fn a_link_on_the_way_to_it_that_is_replaced_is_a_change() {
    let proxy = Running::start(CONFIG);
    proxy.says("watching the configuration file");
    let (dir, file) = (proxy.dir.path(), proxy.dir.path().join("proxy.toml"));
    let text = proxy.read("proxy.toml");
    for (version, text) in [("one", text.clone()), ("two", format!("{text}max_connections = 7\n"))] {
        std::fs::create_dir(dir.join(version)).unwrap();
        std::fs::write(dir.join(version).join("proxy.toml"), text).unwrap();
    }
    std::os::unix::fs::symlink("one", dir.join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/proxy.toml", dir.join("new")).unwrap();
    std::fs::rename(dir.join("new"), &file).unwrap();
    std::os::unix::fs::symlink("two", dir.join("..new")).unwrap();
    std::fs::rename(dir.join("..new"), dir.join("..data")).unwrap();
    proxy.says("reloaded: the new configuration is in force");
}

#[test]
fn one_that_becomes_something_endless_or_goes_away_is_told_once() {
    let proxy = Running::start(CONFIG);
    proxy.says("watching the configuration file");
    let file = proxy.dir.path().join("proxy.toml");
    let link = proxy.dir.path().join("new");
    std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
    std::fs::rename(&link, &file).unwrap();
    proxy.says("not reloaded, nothing has changed: the configuration file");
    proxy.says("proxy.toml is a device");
    std::fs::remove_file(&file).unwrap();
    proxy.says("not reloaded, nothing has changed: there is no configuration file");
    proxy.rewrite(&format!("{CONFIG}max_connections = 7\n"));
    proxy.says("reloaded: the new configuration is in force");
    assert_eq!(proxy.output().matches("not reloaded").count(), 2, "{}", proxy.output());
}
