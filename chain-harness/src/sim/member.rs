//! Members of groups that flap, lie and freeze: what is on the ports that health checks go to, and at a stranger's place beside each
//! target that leads on.
//!
//! ```text
//!  a leg of a hop ─► group ─┬─ stranger (on the clients' host): takes connections where it listens, and serves nobody
//!                           └─ the target that leads on
//!  its checks ──────────────┴► port `HEALTH` of either host, or the hop itself by its own question
//! ```
//! What is on a port is one [`Mood`] at a time, by the world's timeline. That a check finds a member well says nothing of what it does
//! with clients: a stranger lies.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proxy_core::stream::{gone, read, write_all};
use proxy_core::{Listen as _, Stream as _};
use tokio_util::task::TaskTracker;

use super::scenario::{Mood, Who};
use super::settings::{HEALTH, KEEP_ALIVE};
use super::stream::{SimNet, SimStream};

/// How often it is looked whether the mood is another one.
const LOOK: Duration = Duration::from_millis(50);

/// The moods of the world's members.
pub(super) struct Moods {
    real: Mutex<Mood>,
    stranger: Mutex<Mood>,
}

impl Default for Moods {
    /// As it should be: who leads on is well, and nobody is beside it.
    fn default() -> Self {
        Self { real: Mutex::new(Mood::Well), stranger: Mutex::new(Mood::Gone) }
    }
}

impl Moods {
    fn of(&self, who: Who) -> Mood {
        *match who {
            Who::Real => self.real.lock(),
            Who::Stranger => self.stranger.lock(),
        }
    }

    /// One of them is so from now on.
    pub(super) fn turn(&self, who: Who, mood: Mood) {
        *match who {
            Who::Real => self.real.lock(),
            Who::Stranger => self.stranger.lock(),
        } = mood;
    }

    /// It is as it was.
    pub(super) fn turn_back(&self, who: Who) {
        let before = Self::default().of(who);
        self.turn(who, before);
    }
}

/// Stands at a port for as long as the host lives, in whatever mood it is.
pub(super) async fn stand(net: SimNet, port: u16, who: Who, moods: Arc<Moods>) {
    let tasks = TaskTracker::new();
    loop {
        let mood = moods.of(who);
        let listener = (mood != Mood::Gone).then(|| net.listen(port, KEEP_ALIVE));
        while moods.of(who) == mood {
            let Some(Ok(listener)) = &listener else {
                tokio::time::sleep(LOOK).await;
                continue;
            };
            // One that is frozen has a kernel that accepts, and nobody who takes it.
            let accepted = async {
                if mood == Mood::Frozen { std::future::pending().await } else { listener.accept().await }
            };
            if let Ok(Ok((stream, _))) = tokio::time::timeout(LOOK, accepted).await {
                tasks.spawn(serve(stream, mood, port == HEALTH));
            }
        }
    }
}

/// What becomes of a connection.
async fn serve(stream: SimStream, mood: Mood, answers: bool) {
    match mood {
        Mood::Well if answers => answer(stream).await,
        Mood::Well => {
            // It takes what comes, and says nothing: no end that the other side did not make.
            let mut buffer = vec![0; 4096];
            while read(&stream, &mut buffer).await.is_ok_and(|read| read > 0) {}
            drop(gone(&stream).await);
        }
        Mood::Resets | Mood::Gone => drop(stream),
        Mood::Mute | Mood::Frozen => drop(gone(&stream).await),
    }
}

/// A check by Redis' protocol, behind whatever header.
async fn answer(stream: SimStream) {
    let mut buffer = vec![0; 4096];
    loop {
        match read(&stream, &mut buffer).await {
            Ok(0) => return stream.finish(),
            Ok(_) if write_all(&stream, b"+PONG\r\n").await.is_ok() => {}
            Ok(_) | Err(_) => return,
        }
    }
}
