//! An end that stops in its handshake.

use super::super::scenario::{Act, Script};
use super::super::stream::SimStream;
use super::{Left, Lines, note, pause};
use crate::laws::{Did, Party};

/// Does of `script` what needs no handshake, and then waits; what it has done, and how it leaves.
pub(super) async fn half_done(stream: &SimStream, script: &Script, lines: &Lines) -> (Party, Option<Left>) {
    let mut party = Party::default();
    for act in &script.acts {
        let left = match *act {
            Act::Pause(millis) => {
                pause(millis).await;
                continue;
            }
            Act::End | Act::CutOff => {
                if stream.shutdown_write().is_ok() {
                    note(&mut party.did, Did::Fin(lines.began.elapsed()));
                }
                continue;
            }
            Act::Send(_) | Act::Drip(..) | Act::Await(_) => continue,
            Act::Reset => Left::Reset,
            Act::Vanish => Left::Vanished,
        };
        return (party, Some(left));
    }
    std::future::pending().await
}
