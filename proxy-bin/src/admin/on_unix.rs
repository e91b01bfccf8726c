//! The Unix socket while it is served: that its name goes on leading to it.
//!
//! A socket's name can be lost while its socket lives on: by whoever tidies up in its folder, or by a process that took the name
//! and was killed. Nobody could reach this proxy any more, and nothing else would say so. So the name is looked at once a second,
//! and made again where nobody has it.

use std::os::unix::net::UnixListener as UnixListenerStd;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::time::MissedTickBehavior;
use tracing::{error, info, warn};

use super::AdminError;
use super::accept::{Serving, accept_loop};
use super::socket_file::SocketFile;
use crate::control::{Control, State};

/// How often the name is looked at: a second is as long as an operator waits before trying again.
const EVERY: Duration = Duration::from_secs(1);

/// A socket and its name.
#[derive(Debug)]
pub(super) struct OnUnix {
    // First: it goes before the socket is closed.
    pub(super) file: SocketFile,
    pub(super) listener: UnixListenerStd,
}

impl OnUnix {
    /// Serves until `serving.until`, under its name.
    pub(super) async fn serve(self, serving: &Serving, control: &Control) {
        let Self { mut file, listener } = self;
        let mut served = UnixListener::from_std(listener);
        loop {
            let listener = match &served {
                Ok(listener) => listener,
                Err(error) => return error!(%error, "the admin socket cannot be served"),
            };
            let anew = tokio::select! {
                biased;
                () = accept_loop(listener, serving.clone()) => break,
                anew = made_again(&file, control) => anew,
            };
            warn!(socket = %anew.file.path().display(), "the admin socket had gone: it was made again");
            // Whoever is queued at the old one came by a name that was gone a second ago.
            (file, served) = (anew.file, UnixListener::from_std(anew.listener));
        }
        // In this order: until the socket is closed no other file has its identity.
        drop(file);
        drop(served);
    }
}

/// Waits until the name is lost and could be had again. Cancel-safe.
async fn made_again(file: &SocketFile, control: &Control) -> OnUnix {
    let mut looks = tokio::time::interval(EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = None;
    loop {
        looks.tick().await;
        if file.is_in_place() {
            if told.take().is_some() {
                info!(socket = %file.path().display(), "the admin socket is back in its place");
            }
            continue;
        }
        // Who takes over has taken the name, too; and who stops needs none any more.
        if control.state() != State::Running {
            continue;
        }
        let (wanted, path) = (file.again(), file.path().to_path_buf());
        // Whoever has it is asked who they are, and may let us wait.
        let bound = tokio::task::spawn_blocking(move || {
            SocketFile::bind(wanted).map_err(|unbound| AdminError::of_socket(path, unbound).to_string())
        });
        match bound.await {
            Ok(Ok((file, listener))) => return OnUnix { file, listener },
            Ok(Err(why)) if told.as_ref() != Some(&why) => {
                warn!("nobody can reach this proxy by its admin socket any more, it is tried again: {why}");
                told = Some(why);
            }
            Ok(Err(_)) => {}
            Err(lost) => error!(%lost, "making the admin socket again has panicked"),
        }
    }
}
