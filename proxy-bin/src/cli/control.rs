//! `smartproxy log`, `upgrade` and `stop`: what is asked of the process itself.

use std::io::Write;

use hyper::Method;

use super::access::Access;
use super::format::count;
use super::output::{self, Failure, Outcome};
use crate::admin::model::{LogStatus, SetLogLevel};

/// What to do about the log.
#[derive(Debug, clap::Args)]
pub struct LogArgs {
    /// Log events of this level and above from now on, until the next start or reload that says otherwise.
    #[arg(value_parser = ["error", "warn", "info", "debug", "trace"])]
    level: Option<String>,
    /// Open the log files anew: they have been moved away.
    #[arg(long, conflicts_with = "level")]
    reopen: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

impl LogArgs {
    /// Does it, and says how the log is then.
    pub(super) async fn run(self, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let client = self.access.client()?;
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
