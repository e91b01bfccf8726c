//! What of `[admin]` a start would refuse: asked by `smartproxy check` before there is one, and by the start itself.

use std::path::Path;

use super::token::Token;
use super::{AdminError, socket_file};
use crate::config::Admin;

/// The token that requests have to bring, where there is one.
pub(super) fn token(options: &Admin) -> Result<Option<Token>, AdminError> {
    Ok(options.token_file.as_ref().map(|path| Token::read(path.as_path())).transpose()?)
}

/// What cannot be had here: the key that it is about, and why. Nothing is made, and nobody is asked who may have it: a
/// configuration is checked while the proxy runs that has all of it.
pub(crate) fn lacking(options: &Admin) -> Vec<(&'static str, AdminError)> {
    let token = token(options).err().map(|error| ("token_file", error));
    let socket = options.socket.as_ref().and_then(|path| {
        let path = path.as_path();
        let refused = socket_file::fits(path).err().filter(|_| folder_to_be_made(path).is_none());
        refused.map(|source| ("socket", AdminError::Socket { path: path.to_path_buf(), source }))
    });
    [socket, token].into_iter().flatten().collect()
}

/// What has to be there at the start and is not yet, and what makes it, where nothing shows that it will be.
pub(crate) fn awaited(options: &Admin) -> Option<String> {
    let path = options.socket.as_ref()?.as_path();
    let name = folder_to_be_made(path).filter(|_| !is_made_at_the_start(path))?;
    Some(format!(
        "/run/{name} is not there yet: a unit of systemd with `RuntimeDirectory={name}` makes it at each start; \
         a start by hand needs it made before"
    ))
}

/// The name of the socket's folder, where that is not there and would be right below `/run`, which is empty after each boot.
fn folder_to_be_made(socket: &Path) -> Option<&str> {
    let folder = socket.parent().filter(|folder| !folder.exists())?;
    let name = folder.strip_prefix("/run").ok()?.to_str()?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

/// Where the service manager's units are (systemd.unit(5)), those first that go before others.
const UNITS: [&str; 4] = [
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Whether the socket's folder is one that an installed unit of its name has made at each start, and removed when it stops: it is
/// not there while the proxy does not run, and all is well.
fn is_made_at_the_start(socket: &Path) -> bool {
    let Some(name) = folder_to_be_made(socket) else { return false };
    let units = UNITS.iter().map(|folder| Path::new(folder).join(format!("{name}.service")));
    let unit = units.into_iter().find_map(|path| std::fs::read_to_string(path).ok());
    unit.is_some_and(|unit| makes(&unit, name))
}

fn makes(unit: &str, name: &str) -> bool {
    let made = unit.lines().filter_map(|line| line.trim().strip_prefix("RuntimeDirectory="));
    made.flat_map(str::split_whitespace).any(|one| one == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packaged_unit_makes_the_folder_of_the_packaged_configuration() {
        let unit = include_str!("../../../packaging/smartproxy.service");
        assert!(makes(unit, "smartproxy"));
        assert!(!makes(unit, "smart") && !makes("# RuntimeDirectory=smartproxy", "smartproxy"));
        for elsewhere in
            ["/run/admin.sock", "/run/a/b/admin.sock", "/nonexistent/admin.sock", "/tmp/admin.sock"]
        {
            assert!(!is_made_at_the_start(Path::new(elsewhere)), "{elsewhere}");
        }
    }

    #[test]
    fn a_folder_below_run_that_is_not_there_yet_is_a_warning_and_any_other_an_error() {
        let admin = |socket: &str| Admin { socket: Some(socket.parse().unwrap()), ..Admin::default() };
        let below_run = admin("/run/no-such-unit-of-systemd/admin.sock");
        assert!(lacking(&below_run).is_empty());
        let awaited_there = awaited(&below_run).unwrap();
        assert!(awaited_there.contains("`RuntimeDirectory=no-such-unit-of-systemd`"), "{awaited_there}");
        for elsewhere in ["/run/a-a/b/admin.sock", "/nonexistent/admin.sock"] {
            assert!(
                awaited(&admin(elsewhere)).is_none() && lacking(&admin(elsewhere)).len() == 1,
                "{elsewhere}"
            );
        }
    }
}
