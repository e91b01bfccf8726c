//! Service that was interrupted: how long until it is back.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::outcome::Law;
use super::stage::{Lab, Since, seconds};
use super::watch::ms;
use crate::wire::Wire;

/// From one client who asks to the next.
const APART: Duration = Duration::from_millis(50);
/// How long each waits for its answer: whoever has none by then asks again on a new connection.
const PATIENT: Duration = Duration::from_millis(500);
/// A service is back when so many in a row are served.
const IN_A_ROW: usize = 5;
/// How much later than allowed it is looked on, to find out when it is back after all.
const LOOK_ON: Duration = Duration::from_secs(15);

impl Lab {
    /// Asks an echo, one client after the other, until it serves again, and notes how long after `since` that was: a breach
    /// of `service` where it was later than `allowed`.
    pub(super) async fn serves_again(&mut self, since: Since, allowed: Duration) {
        let give_up = Instant::now() + allowed + LOOK_ON;
        let (mut in_a_row, mut again) = (0, None);
        while in_a_row < IN_A_ROW && Instant::now() < give_up {
            if is_served(self.addr()).await {
                in_a_row += 1;
                again.get_or_insert_with(|| self.elapsed(since));
            } else {
                (in_a_row, again) = (0, None);
            }
            sleep(APART).await;
        }
        self.figures.served_again_ms = again.map(ms);
        let allowed_ms = ms(allowed);
        self.check(Law::Service, again.is_some_and(|again| again <= allowed), || {
            let when = again.map_or("not served again".to_owned(), |again| {
                format!("served again after {}", seconds(ms(again)))
            });
            format!("{when} ({} allowed)", seconds(allowed_ms))
        });
    }

    /// Lets clients ask one after the other for as long as `duration`, whatever comes of it: `[asked, served]`.
    pub(super) async fn asks_for(&self, duration: Duration) -> [usize; 2] {
        let (end, mut counts) = (Instant::now() + duration, [0, 0]);
        while Instant::now() < end {
            let [asked, served] = &mut counts;
            *asked += 1;
            *served += usize::from(is_served(self.addr()).await);
            sleep(APART).await;
        }
        counts
    }
}

/// Whether an echo behind `addr` gives back what a client says.
async fn is_served(addr: std::net::SocketAddr) -> bool {
    let asked = timeout(PATIENT, async {
        let mut client = Wire::connect(addr).await;
        client.try_send("hello").await.is_ok()
            && client.read_until(|bytes| bytes.len() >= 5).await.text() == "hello"
    });
    asked.await.unwrap_or(false)
}
