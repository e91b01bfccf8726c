//! What is told: one file a scenario.

mod answer_after_fin;
mod backend_away;
mod backend_half_closes;
mod backend_resets_at_once;
mod backend_resets_mid_answer;
mod backend_stops_reading;
mod black_hole;
mod client_half_closes;
mod client_resets;
mod connect_and_leave;
mod greets_and_closes;
mod half_close_while_dialling;
mod hop_frozen_5s;
mod inner_frozen;
mod inner_idle_first;
mod inner_killed;
mod late_reader;
mod leaves_while_dialling;
mod mass_disconnect;
mod members;
mod middle_out_of_files;
mod mixed;
mod one_address_against_all;
mod one_byte_a_second;
mod out_of_files;
mod outer_idle_first;
mod refused;
mod resets_while_dialling;
mod resets_while_stalled;
mod same_port;
mod silent_backend;
mod slow_header;
mod slow_reader;
mod slow_reader_behind_fin;
mod slow_reader_mid_answer;
mod split_header;
mod through_tls;
mod upload_after_fin;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::outcome::{Ends, Law, Outcome};
use super::sockets::Tcp;
use super::stage::{Hop, Hops, Lab, Told, all_together, together};
use super::terms::{ABANDONED, AT_ONCE, GRACE};
use super::watch::Sample;
use crate::backend::{Backend, BlackHole, refuses};
use crate::contender::{Contender, HopPlan};
use crate::free_port;
use crate::wire::{Ending, Received, Wire};

/// A scenario: what happens, what is expected of a proxy then, and how long that may take to find out.
#[derive(Debug)]
pub struct Scenario {
    /// Its name, for the command line and tables.
    pub name: &'static str,
    /// What happens, and what is expected.
    pub expected: &'static str,
    /// Whether it is about PROXY headers.
    pub needs_headers: bool,
    /// Whether hops have to end TLS and speak it.
    pub needs_tls: bool,
    /// When it is given up.
    pub longest: Duration,
    pub(super) story: Story,
}

impl Scenario {
    /// Its name, and what is expected.
    pub(super) const fn heading(&self) -> [&str; 2] {
        [self.name, self.expected]
    }

    /// Tells it to a fresh chain, and sums up.
    pub(super) async fn tell(&'static self, contender: Contender) -> Outcome {
        let mut lab = Lab::new(contender);
        let obstacle = match timeout(self.longest, (self.story)(&mut lab)).await {
            Ok(told) => told.err(),
            Err(_) => Some(format!("it was not over after {:?}", self.longest)),
        };
        if obstacle.is_none() {
            lab.everybody_has_gone().await;
        }
        lab.sum_up(self.heading(), obstacle)
    }
}

/// A story, told to a lab.
type Story = for<'a> fn(&'a mut Lab) -> Pin<Box<dyn Future<Output = Told> + 'a>>;

/// What is the same in nearly all of them.
const USUAL: Scenario = Scenario {
    name: "",
    expected: "",
    needs_headers: false,
    needs_tls: false,
    longest: Duration::from_secs(30),
    story: |_| Box::pin(async { Ok(()) }),
};

/// In the order in which they are told.
static ALL: &[Scenario] = &[
    black_hole::SCENARIO,
    leaves_while_dialling::SCENARIO,
    resets_while_dialling::SCENARIO,
    half_close_while_dialling::SCENARIO,
    refused::SCENARIO,
    backend_away::ONE_SECOND,
    backend_away::TWELVE_SECONDS,
    backend_resets_at_once::SCENARIO,
    backend_resets_mid_answer::SCENARIO,
    client_resets::SCENARIO,
    answer_after_fin::SCENARIO,
    upload_after_fin::SCENARIO,
    client_half_closes::SCENARIO,
    backend_half_closes::SCENARIO,
    silent_backend::SCENARIO,
    one_byte_a_second::SCENARIO,
    backend_stops_reading::SCENARIO,
    resets_while_stalled::SCENARIO,
    slow_reader::SCENARIO,
    late_reader::SCENARIO,
    slow_reader_behind_fin::SCENARIO,
    slow_reader_mid_answer::SCENARIO,
    connect_and_leave::SCENARIO,
    same_port::SCENARIO,
    greets_and_closes::SCENARIO,
    slow_header::SCENARIO,
    split_header::SCENARIO,
    through_tls::CLIENT_HALF_CLOSES,
    through_tls::CLIENT_CUT,
    through_tls::CLIENT_RESETS,
    through_tls::BACKEND_RESETS,
    through_tls::BACKEND_CUT,
    through_tls::STALLS,
    through_tls::REFUSED,
    inner_killed::SCENARIO,
    inner_frozen::SCENARIO,
    hop_frozen_5s::INNER,
    hop_frozen_5s::OUTER,
    inner_idle_first::SCENARIO,
    outer_idle_first::SCENARIO,
    members::KILLED,
    members::FROZEN,
    members::RESETS,
    members::SILENT,
    members::EVENS_OUT,
    mass_disconnect::SCENARIO,
    out_of_files::SCENARIO,
    middle_out_of_files::SCENARIO,
    one_address_against_all::OUTER,
    one_address_against_all::INNER,
    mixed::SCENARIO,
];

/// All of them, in the order in which they are told.
#[must_use]
pub fn scenarios() -> &'static [Scenario] {
    ALL
}

/// What most clients say.
const REQUEST: &str = "GET / HTTP/1.1\r\nhost: lab\r\n\r\n";

/// A backend's manner: reads on, never says anything, and never ends.
async fn deaf(mut wire: Wire) {
    // Read without the wire's patience: what this is about may take longer.
    wire.read_for_ever().await;
    std::future::pending::<()>().await;
}

/// A backend's manner: takes nothing, says nothing, and never ends.
async fn takes_nothing(wire: Wire) {
    std::future::pending::<()>().await;
    drop(wire);
}

/// `count` clients to whom an echo has answered.
async fn greeted(lab: &mut Lab, count: usize) -> Vec<Wire> {
    let clients = lab.crowd(count, "hello").await;
    let greeted = clients.into_iter().map(|mut client| async move {
        drop(timeout(AT_ONCE, client.read_until(|bytes| bytes.len() >= 5)).await);
        client
    });
    let clients = all_together(greeted).await;
    let missing = clients.iter().filter(|client| client.received().text() != "hello").count();
    lab.check(Law::Service, missing == 0, || format!("{missing} of {count} clients were not served"));
    clients
}

/// How many of `count` clients an echo serves: what they say comes back, and then they leave.
async fn served(lab: &Lab, count: usize) -> usize {
    let clients = lab.crowd(count, "hello").await;
    let served = clients.into_iter().map(|mut client| async move {
        drop(timeout(AT_ONCE, client.read_until(|bytes| bytes.len() >= 5)).await);
        client.received().text() == "hello"
    });
    all_together(served).await.into_iter().filter(|served| *served).count()
}

/// `count` clients who send until nothing more is taken, which is so after a second of it.
async fn stalled(lab: &Lab, count: usize) -> Vec<Wire> {
    let clients = lab.crowd(count, "").await;
    let sending = clients.into_iter().map(|mut client| async move {
        drop(timeout(Duration::from_secs(1), client.try_send(vec![b'x'; 32 << 20])).await);
        client
    });
    all_together(sending).await
}

/// From one sip of a steady reader to the next.
const SIP: Duration = Duration::from_millis(100);

/// Takes `rate` bytes a second, evenly, until the other side has ended or `longest` is over.
async fn reads_steadily(mut client: Wire, rate: usize, longest: Duration) -> Wire {
    let (began, mut taken) = (Instant::now(), 0);
    while began.elapsed() < longest {
        sleep(SIP).await;
        let elapsed = usize::try_from(began.elapsed().as_millis()).unwrap_or(usize::MAX);
        let due = rate * elapsed / 1000;
        while taken < due {
            // What is not there yet is taken later.
            let Ok(bytes) = timeout(SIP, client.read_at_most((due - taken).min(16 * 1024))).await else {
                break;
            };
            if bytes.is_empty() {
                return client;
            }
            taken += bytes.len();
        }
    }
    client
}

/// The longest of the transfers in which every byte counts.
const LONGEST_TRANSFER: usize = 5 << 20;

/// Bytes of which none can be lost, doubled or swapped unseen. Made once: that takes longer than some deadlines.
static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let bytes = (0..=u32::MAX).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]);
    bytes.take(LONGEST_TRANSFER).collect()
});

/// The first `size` of them.
fn pattern(size: usize) -> &'static [u8] {
    PATTERN.get(..size).unwrap_or_default()
}

/// Everybody got the pattern, whole, and then a FIN.
fn every_byte(lab: &mut Lab, all: &[Received], size: usize) {
    let (whole, of) = (pattern(size), all.len());
    let open = all.iter().filter(|received| received.end.is_none()).count();
    lab.check(Law::Service, open == 0, || format!("{open} of {of} transfers were not over in time"));
    let broken = |received: &&Received| received.bytes != whole;
    let broken: Vec<_> = all.iter().filter(|received| received.end.is_some()).filter(broken).collect();
    let shortest = broken.iter().map(|received| received.bytes.len()).min().unwrap_or_default();
    lab.check(Law::Bytes, broken.is_empty(), || {
        format!("{} of {of} transfers lost bytes: one has {shortest} of {size}", broken.len())
    });
    // What is cut short and then ends with a FIN looks whole.
    let fin = broken.iter().filter(|received| received.end == Some(Ending::Fin)).count();
    lab.check(Law::Ends, fin == 0, || {
        format!("{fin} of {of} truncated transfers ended with a FIN: they look whole")
    });
    let reset = all.iter().filter(|received| received.end == Some(Ending::Reset)).count();
    lab.check(Law::Ends, reset == 0 || !broken.is_empty(), || {
        format!("{reset} of {of} whole transfers were reset")
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_words_of_a_command_line() {
        let mut names: Vec<_> = scenarios().iter().map(|scenario| scenario.name).collect();
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let plain = |name: &&str| name.bytes().all(plain);
        assert!(names.iter().all(plain), "{names:?}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), scenarios().len());
        assert!(scenarios().iter().all(|scenario| !scenario.expected.is_empty()));
    }
}
