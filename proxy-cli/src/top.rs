//! `smartproxy top`: the proxy live on the whole screen.
//!
//! ```text
//! keys ────► State::key ─► Action ─► wants, orders ─┐
//!               │  ▲                                ▼
//!    draw ◄─────┘  └───── News ◄──── Feed: /v1/events, and a page of /v1/connections after each sample
//! ```
//! One task does all of it: the feed is a future beside the keys', so a proxy that does not answer freezes no key.

mod feed;
mod folded;
mod found;
mod keys;
mod parts;
mod questions;
mod routes;
mod scroll;
mod shown;
mod state;
mod style;
mod view;

use std::io::{self, IsTerminal};
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyEventKind};
use futures_util::StreamExt;
use ratatui::DefaultTerminal;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::access::Access;
use super::client::Client;
use super::filter::FilterArgs;
use super::list::Ask;
use super::output::{Failure, Outcome};
use feed::Feed;
use proxy_api::model::Status;
use state::{Action, State};

/// Which proxy to watch.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Keys: q quits, ? helps, ! shows what is wrong, Enter shows the selected connection in full, / filters,
g groups connections (Enter opens a group up), s sorts, r sorts the routes, k ends the selected
connection, K all that match the filter, space pauses, Esc goes back.
For programs there are `smartproxy status --json` and `conns --json`.")]
pub struct Args {
    #[command(flatten)]
    filter: FilterArgs,
}

impl Args {
    /// Watches it until a key or a signal says stop.
    pub(super) async fn run(self, access: &Access) -> Result<Outcome, Failure> {
        if !io::stdout().is_terminal() {
            return Err(Failure::Usage(
                "top needs a terminal; for programs there are `smartproxy status --json` and `smartproxy conns --json`"
                    .to_owned(),
            ));
        }
        let client = access.client()?;
        // What is wrong with the way there is said before the screen is taken.
        let _: Status = client.fetch("/v1/status").await?;
        let ask = Ask { filter: self.filter.into(), ..Ask::default() };
        ask.read(&client, 1).await?;
        let mut stop = Stop::new().map_err(Failure::Terminal)?;
        let mut screen = Screen::new().map_err(Failure::Terminal)?;
        watch(&mut screen.terminal, client, State::looking_at(ask.filter), &mut stop).await?;
        Ok(Outcome::Done)
    }
}

/// The terminal while it is ours. Dropped, it is as it was; a panic gives it back first, too (`ratatui::try_init`).
struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    fn new() -> io::Result<Self> {
        Ok(Self { terminal: ratatui::try_init()? })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// The signals that end it: the terminal has to be given back first.
struct Stop([Signal; 4]);

impl Stop {
    fn new() -> io::Result<Self> {
        let catch = |kind| signal(kind);
        Ok(Self([
            catch(SignalKind::terminate())?,
            catch(SignalKind::interrupt())?,
            catch(SignalKind::hangup())?,
            catch(SignalKind::quit())?,
        ]))
    }

    async fn called(&mut self) {
        let Self([terminate, interrupt, hangup, quit]) = self;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
            _ = quit.recv() => {}
        }
    }
}

/// News and orders that wait: the screen takes them at once, so a few are plenty.
const WAITING: usize = 8;

async fn watch(
    terminal: &mut DefaultTerminal,
    client: Client,
    mut state: State,
    stop: &mut Stop,
) -> Result<(), Failure> {
    let (wants, wanted) = watch::channel(state.wants());
    let (orders, ordered) = mpsc::channel(WAITING);
    let (news, mut heard) = mpsc::channel(WAITING);
    let mut feed = std::pin::pin!(Feed { client, wanted, ordered, news }.run());
    let mut keys = EventStream::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        terminal.draw(|frame| view::draw(frame, &mut state)).map_err(Failure::Terminal)?;
        let action = tokio::select! {
            () = stop.called() => return Ok(()),
            () = &mut feed => return Ok(()),
            now = ticks.tick() => {
                state.tick(now);
                None
            }
            Some(news) = heard.recv() => {
                state.take(news);
                None
            }
            event = keys.next() => match event {
                Some(Ok(Event::Key(key))) if key.kind == KeyEventKind::Press => state.key(key),
                Some(Ok(_)) => None,
                Some(Err(error)) => return Err(Failure::Terminal(error)),
                // The terminal has gone.
                None => return Ok(()),
            },
        };
        match action {
            None => {}
            Some(Action::Quit) => return Ok(()),
            Some(Action::Look) => drop(wants.send_replace(state.wants())),
            Some(Action::Kill(victims)) => {
                let taken = orders.try_send(victims);
                taken.unwrap_or_else(|_| state.say("the proxy does not answer: nothing was ended"));
            }
        }
    }
}
