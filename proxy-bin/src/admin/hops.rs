//! The other hops of the chain: asked every other second how they are, on the control runtime.
//!
//! ```text
//! [admin] hops ─► ask each (2 s at most) ─► Standing: last words, silent since, last minute
//!                      └─ another configuration there or here ─► compare, on a thread of its own
//! ```
//! What a hop does not say within its time is said of it. Nothing waits for a hop but the question itself.

mod compare;
pub(super) mod known;
mod standing;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use proxy_cli::access::read_token;
use proxy_cli::chain;
use proxy_cli::client::Client;
use proxy_observe::{HopFacts, Subject};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::warn;

use super::api::Api;
use super::hop;
use super::view::since_1970;
use crate::config::HopAt;
use compare::{Text, compare};
use known::{Known, Other, Version};
use proxy_api::model::{ConfigText, Disagreement};
pub(super) use standing::{Said, Standing};

/// How often each hop is asked: what stands still is found within ten seconds, by two questions in a row.
const EVERY: Duration = Duration::from_secs(2);

/// How long a hop has to answer such a question: it looks at no connection for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the hops for as long as the API is there.
pub(super) async fn watch(api: Arc<Api>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while api.stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let wanted = wanted(&api);
        api.hops.follow(&wanted);
        if !wanted.is_empty() {
            api.stop.run_until_cancelled(look(&api, &wanted)).await;
        }
        *api.control().running().hops.lock() = facts(&api.hops.known(), since_1970(SystemTime::now()));
    }
}

/// The other hops that the configuration in force names.
pub(super) fn wanted(api: &Api) -> Vec<HopAt> {
    api.control().config().admin.as_ref().map(|admin| admin.hops.clone()).unwrap_or_default()
}

/// One look at all of them.
async fn look(api: &Arc<Api>, wanted: &[HopAt]) {
    let asked = join_all(wanted.iter().enumerate().map(|(n, at)| ask(at, n + 1))).await;
    let at = since_1970(SystemTime::now());
    {
        let (own, mut known) = (hop::facts(api, 0), api.hops.lock());
        known.own.answered(Said { hop: own, at, clock: None }, Instant::now());
        for (other, asked) in known.others.iter_mut().zip(asked) {
            match asked {
                Answer::Said(said) => other.standing.answered(*said, Instant::now()),
                Answer::Silent(why) => other.standing.failed(why, at),
                // What it is like is not known: what was known stands.
                Answer::Unasked(why) => warn!(hop = %other.at.at, why, "a hop cannot be asked"),
            }
        }
    }
    compare_anew(api, wanted).await;
}

/// What rules are told of the other hops, `now` in seconds since 1970.
fn facts(known: &Known, now: f64) -> Vec<HopFacts> {
    let others = known.others.iter().map(|Other { at, standing }| {
        let name = standing.said.as_ref().map_or_else(|| at.at.to_string(), |said| said.hop.name.clone());
        let since =
            standing.silent_since().map(|since| Duration::from_secs_f64((now - since).clamp(0.0, FOREVER)));
        let why = standing.unanswered().map(|(_, why)| why.to_owned());
        let refused = standing.refused();
        let disagrees =
            known.compared.iter().flatten().flatten().filter(|one| one.inner == name && !one.advice);
        HopFacts {
            silent: since.zip(why),
            disagrees: disagrees.map(|one| (one.sentence.clone(), written(one))).collect(),
            refused: refused.values().sum(),
            most_refused: refused
                .into_iter()
                .max_by_key(|(_, count)| *count)
                .map(|(cause, _)| cause)
                .unwrap_or_default(),
            subject: Subject::Hop(name.into()),
        }
    });
    others.collect()
}

/// What to write where.
fn written(one: &Disagreement) -> String {
    one.mends.as_ref().map_or_else(String::new, |mends| format!("in {}: {mends}", one.at))
}

/// A clock that is set back or ahead makes no duration that cannot be.
const FOREVER: f64 = 1e9;

/// What came of a question.
enum Answer {
    Said(Box<Said>),
    /// Why there was no answer.
    Silent(String),
    /// Why it could not be asked, which is not the hop's fault.
    Unasked(String),
}

async fn ask(at: &HopAt, proxies: usize) -> Answer {
    let client = match client(at, PATIENCE) {
        Ok(client) => client,
        Err(why) => return Answer::Silent(why),
    };
    match tokio::time::timeout(PATIENCE, chain::facts(&client, proxies)).await {
        Ok(Ok(asked)) => Answer::Said(Box::new(Said {
            hop: asked.hop,
            at: since_1970(SystemTime::now()),
            clock: Some((asked.clock_ahead_s, asked.clock_within_s)),
        })),
        Ok(Err(error)) if error.is_shortage() => Answer::Unasked(error.to_string()),
        Ok(Err(error)) => Answer::Silent(in_a_line(&error.to_string())),
        Err(_) => Answer::Silent(format!(
            "no answer within {}s: the process is stopped, or very busy",
            PATIENCE.as_secs()
        )),
    }
}

/// A client of that hop, with its token as the file has it now.
pub(super) fn client(at: &HopAt, patience: Duration) -> Result<Client, String> {
    let token = at.token_file.as_ref().map(|file| read_token(file.as_path())).transpose();
    let token = token.map_err(|error| in_a_line(&error.to_string()))?;
    Ok(Client::new(at.at.place().clone(), token).patient(patience))
}

/// The first line: what follows it is advice for a command line.
pub(super) fn in_a_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// Compares the hops' configurations, where one of them is another than before. Where a hop is silent it is left as it was.
async fn compare_anew(api: &Arc<Api>, wanted: &[HopAt]) {
    let known = api.hops.known();
    let own = (std::process::id(), api.control().generation());
    let others = known.others.iter().map(|other| {
        let said = other.standing.said.as_ref().filter(|_| other.standing.unanswered().is_none())?;
        Some((said.hop.pid, said.hop.generation))
    });
    let Some(about) = [Some(own)].into_iter().chain(others).collect::<Option<Vec<Version>>>() else { return };
    if about == known.about && known.compared.is_some() {
        return;
    }
    let compared = match texts(api, wanted, &known).await {
        // A thread of its own: two files of ten thousand routes take some hundred milliseconds.
        Ok(texts) => tokio::task::spawn_blocking(move || compare(&texts))
            .await
            .unwrap_or_else(|lost| Err(lost.to_string())),
        Err(why) => Err(why),
    };
    let mut now = api.hops.lock();
    (now.compared, now.about) = (Some(compared), about);
}

/// The hops' configurations, under their names.
async fn texts(api: &Api, wanted: &[HopAt], known: &Known) -> Result<Vec<Text>, String> {
    let own = Text { name: api.name.clone(), text: api.control().config_text().to_string() };
    let mut texts = vec![own];
    let others = wanted.iter().zip(&known.others).map(|(at, other)| text(at, &other.standing));
    for text in join_all(others).await {
        texts.push(text?);
    }
    Ok(texts)
}

async fn text(at: &HopAt, standing: &Standing) -> Result<Text, String> {
    let name = standing.said.as_ref().map_or_else(|| at.at.to_string(), |said| said.hop.name.clone());
    let read: ConfigText =
        (client(at, PATIENCE)?.fetch("/v1/config").await).map_err(|error| in_a_line(&error.to_string()))?;
    Ok(Text { name, text: read.text })
}
