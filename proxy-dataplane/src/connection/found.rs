//! A group whose members are found by name, and that has none yet: a connection waits for the first answer, as its dial would for
//! that of a target's name. After a start, and when a reload brings such a group, clients come before it.

use std::pin::pin;
use std::time::Duration;

use proxy_conn::{Cause, ConnGuard, DeadlineKind, Verdict};
use proxy_core::{Bound, Stream};
use proxy_upstream::{Candidates, Key};
use tokio::time::{Instant, sleep, timeout};

use super::client::while_client_stays;
use super::passage::Passage;
use crate::generation::RouteState;

/// How often it looks whether the answer is there: it takes some milliseconds from a name server nearby, and few clients wait.
const EVERY: Duration = Duration::from_millis(10);

/// The members that there are once the names were looked up, for as long as `within`, and the client, let it.
pub(super) async fn members<'p, S: Stream, D>(
    conn: &ConnGuard,
    passage: &mut Passage<'p, S, D>,
    state: &'p RouteState,
    within: Bound,
) -> Result<Candidates<'p>, Verdict> {
    let group = &state.targets;
    let looked_up = async {
        while group.is_awaited() {
            sleep(EVERY).await;
        }
    };
    let early_data = passage.proxy.settings.early_data;
    let waiting = pin!(timeout(within.get(), looked_up));
    // Where it is over without members is told by what is known of the names.
    let _in_time = while_client_stays(conn, passage.client, &mut passage.ahead, early_data, waiting).await?;
    let client = passage.origin.client.map(proxy_core::ClientAddr::ip);
    let name = passage.hello.as_ref().and_then(|hello| hello.server_name.as_deref());
    let candidates = group.candidates_for(passage.at.config.port, &Key::new(client, name));
    if candidates.addresses.is_empty() {
        let why = |(name, known): (&proxy_upstream::NameOptions, proxy_upstream::Known)| {
            format!("{}: {}", name.name, known.error.as_deref().unwrap_or("no answer yet"))
        };
        let why: Vec<_> = group.names().map(why).collect();
        let detail = format!("group {} has no members yet: {}", group.name(), why.join("; "));
        return Err(Verdict::explained(conn, Cause::DialUnresolved, detail));
    }
    conn.deadline(Instant::now() + within.get(), DeadlineKind::Dial);
    Ok(candidates)
}
