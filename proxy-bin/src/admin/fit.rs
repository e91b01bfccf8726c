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
        let refused = socket_file::fits(path).err().filter(|_| !is_made_at_the_start(path));
        refused.map(|source| ("socket", AdminError::Socket { path: path.to_path_buf(), source }))
    });
    [socket, token].into_iter().flatten().collect()
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
    let folder = socket.parent().filter(|folder| !folder.exists());
    let name = folder.and_then(|folder| folder.strip_prefix("/run").ok()).and_then(Path::to_str);
    let Some(name) = name.filter(|name| !name.is_empty() && !name.contains('/')) else { return false };
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
}
