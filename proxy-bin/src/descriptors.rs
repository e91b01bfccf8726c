//! The descriptors that the process keeps open beside its proxy, whoever comes or goes.

use super::config::{AccessTo, Acme, Admin, Log, Reload};

/// The admin API's runtime, and how much memory there is.
const OF_THE_API: u64 = 5;
/// Its Unix socket.
const OF_ITS_SOCKET: u64 = 1;
/// Its socket for HTTP, and a copy to hand over.
const OF_ITS_PORT: u64 = 2;
/// What watches the file of the configuration.
const OF_THE_WATCH: u64 = 3;
/// While certificates are obtained: of each of four orders at a time a connection to its authority, a lock, and a file that is written.
const OF_ORDERS: u64 = 4 * 3;

/// How many a process keeps open that has this admin API and this log, watches its file if `reload` says so, and obtains
/// certificates.
#[must_use]
pub(crate) fn beside_the_proxy(
    admin: Option<&Admin>,
    log: &Log,
    reload: &Reload,
    acme: Option<&Acme>,
) -> u64 {
    let api = admin.map_or(0, |admin| {
        let doors = [(admin.socket.is_some(), OF_ITS_SOCKET), (admin.listen.is_some(), OF_ITS_PORT)];
        OF_THE_API + doors.iter().filter(|(open, _)| *open).map(|(_, each)| each).sum::<u64>()
    });
    let log_file = u64::from(matches!(log.access, AccessTo::File(_)));
    let watch = if reload.watch { OF_THE_WATCH } else { 0 };
    let orders = acme.map_or(0, |_| OF_ORDERS);
    api + log_file + watch + orders
}
