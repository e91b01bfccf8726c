//! `smartproxy log`, `upgrade` and `stop`: what is asked of the process itself.

use std::io::Write;
use std::time::Duration;

use hyper::Method;

use super::access::Access;
use super::client::Client;
use super::format::count;
use super::output::{self, Failure, Outcome};
use proxy_api::model::{LogStatus, SetLogLevel, Status, Upgrade};

/// What to do about the log.
#[derive(Debug, clap::Args)]
pub struct LogArgs {
    /// Log events of this level and above from now on, until the next start or reload that says otherwise. These are the proxy's
    /// own events: what one connection does is told by `smartproxy trace`, at any level.
    #[arg(value_parser = ["error", "warn", "info", "debug", "trace"])]
    level: Option<String>,
    /// Open the log files anew: they have been moved away.
    #[arg(long, conflicts_with = "level")]
    reopen: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl LogArgs {
    /// Does it, and says how the log is then.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let client = access.client()?;
        let log: LogStatus = match (self.level, self.reopen) {
            (Some(level), _) => client.ask_for(Method::PUT, "/v1/log", &SetLogLevel { level }).await?,
            (None, true) => client.ask(Method::POST, "/v1/log/reopen").await?,
            (None, false) => client.fetch("/v1/log").await?,
        };
        if self.json {
            output::json(out, &log)?;
        } else {
            let lost = count(log.lost_total, "line", "lines");
            output::text(out, format!("level {}, {lost} lost since the start\n", log.level))?;
        }
        Ok(Outcome::Done)
    }
}

/// How to tell how it went.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The new process takes the listening sockets over; the old one lets its connections finish and goes.
Exit code 1 where the new one does not become ready: the old one carries on, nothing has changed.")]
pub struct UpgradeArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The answer comes once the new process serves or has failed; the configuration's `upgrade_timeout` bounds that.
const UPGRADE: Duration = Duration::from_secs(3600);

impl UpgradeArgs {
    /// Upgrades.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let client = access.client()?.patient(UPGRADE);
        let upgrade: Upgrade = client.ask(Method::POST, "/v1/upgrade").await?;
        if self.json {
            output::json(out, &upgrade)?;
        } else {
            output::text(out, told(&upgrade))?;
        }
        Ok(if upgrade.taken { Outcome::Done } else { Outcome::No })
    }
}

fn told(upgrade: &Upgrade) -> String {
    match (&upgrade.error, upgrade.pid) {
        (Some(error), _) => format!("{error}\nrefused: the old process carries on, nothing has changed\n"),
        (None, Some(pid)) => format!("process {pid} serves; the old one lets its connections finish\n"),
        (None, None) => "a new process serves; the old one lets its connections finish\n".to_owned(),
    }
}

/// How to stop.
#[derive(Debug, clap::Args)]
pub struct StopArgs {
    /// Wait until the process answers no more.
    #[arg(long)]
    wait: bool,
    /// Print JSON: how the proxy was.
    #[arg(long)]
    json: bool,
}

impl StopArgs {
    /// Stops it.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let client = access.client()?;
        let before: Status = client.ask(Method::POST, "/v1/stop").await?;
        if self.json {
            output::json(out, &before)?;
        } else {
            let open = count(before.connections, "connection", "connections");
            output::text(out, format!("{} stops: {open} open\n", before.name))?;
        }
        if self.wait {
            gone(&client).await?;
        }
        Ok(Outcome::Done)
    }
}

/// How often a wait looks.
const LOOK: Duration = Duration::from_millis(250);

async fn gone(client: &Client) -> Result<(), Failure> {
    loop {
        match client.fetch::<Status>("/v1/status").await {
            Ok(_) => tokio::time::sleep(LOOK).await,
            Err(error) if error.is_no_answer() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
