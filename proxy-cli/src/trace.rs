//! `smartproxy trace`: follows one connection until it ends.

use std::io::Write;

use super::access::Access;
use super::filter::Id;
use super::format::plain;
use super::output::{self, Failure, Outcome};
use proxy_api::model::TraceEvent;

/// Which connection to follow.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its id, as `conns` lists it.
    id: Id,
    /// Print JSON, an event a line.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Follows it.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let path = format!("/v1/connections/{}/trace", self.id.as_str());
        let mut events = access.client()?.events(&path).await?;
        while let Some(event) = events.next::<TraceEvent>("trace").await? {
            if self.json {
                let line = serde_json::to_string(&event).map_err(std::io::Error::other)?;
                output::text(out, format!("{line}\n"))?;
            } else {
                output::text(out, line(&event))?;
            }
            if event.event == "gone" {
                return Ok(Outcome::Done);
            }
        }
        // The proxy itself has gone, and the connection with it or not: nobody saw it end.
        output::text(
            &mut std::io::stderr(),
            "smartproxy: the proxy stopped telling before the connection ended\n",
        )?;
        Ok(Outcome::No)
    }
}

fn line(event: &TraceEvent) -> String {
    format!("{:>9.3}s  {:<9} {}\n", event.at_s, plain(&event.event), plain(&event.text))
}
