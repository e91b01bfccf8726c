//! The commands that talk to a running proxy.

use std::io::Write;

use clap::Subcommand;
use hyper::Method;

use super::access::Access;
use super::output::{self, Failure, Outcome};
use super::{audit, chain, conns, control, drain, kill, reload, routes, show, status, top, trace};

/// What to ask of a running proxy.
#[derive(Debug, Subcommand)]
pub enum Operate {
    /// The whole proxy on one screen; lines that want attention begin with `!`.
    Status(status::Args),
    /// Watch it live on the whole screen: phases, routes, the oldest and the busiest connections.
    Top(top::Args),
    /// List connections, as `ss` does for sockets.
    Conns(conns::Args),
    /// List the routes, each with its targets: connections, dials, breakers.
    Routes(routes::Args),
    /// List the limits: in use, at most, waiting.
    Limits(routes::Args),
    /// Show one connection in full, with both its sockets.
    Show(show::Args),
    /// Follow one connection until it ends.
    Trace(trace::Args),
    /// Join the tables of the hops of a chain, and list connections that live on one hop only.
    Chain(chain::Args),
    /// End connections, by id or by filter.
    Kill(kill::Args),
    /// Take no new connections: on a listener, a route, a target or at all.
    Drain(drain::Args),
    /// Read the configuration again, and say what has changed.
    Reload(reload::Args),
    /// Say what a reload of FILE would change.
    Diff(reload::DiffArgs),
    /// Compare the proxy's own table with the kernel's, now.
    Audit(audit::Args),
    /// Say or set how much is logged.
    Log(control::LogArgs),
    /// Hand over to the binary that is now installed, without losing a connection.
    Upgrade(Access),
    /// Stop: accept nothing more, let connections finish for `graceful_shutdown_timeout`, and end.
    Stop(control::StopArgs),
}

impl Operate {
    /// Does it, and writes to `out` what there is to say.
    ///
    /// # Errors
    /// [`Failure`]: the proxy cannot be reached or refuses, or `out` cannot be written to.
    pub async fn run(self, out: &mut dyn Write) -> Result<Outcome, Failure> {
        match self {
            Self::Status(args) => args.run(out).await,
            Self::Top(args) => args.run().await,
            Self::Conns(args) => args.run(out).await,
            Self::Routes(args) => args.routes(out).await,
            Self::Limits(args) => args.limits(out).await,
            Self::Show(args) => args.run(out).await,
            Self::Trace(args) => args.run(out).await,
            Self::Chain(args) => args.run(out).await,
            Self::Kill(args) => args.run(out).await,
            Self::Drain(args) => args.run(out).await,
            Self::Reload(args) => args.run(out).await,
            Self::Diff(args) => args.run(out).await,
            Self::Audit(args) => args.run(out).await,
            Self::Log(args) => args.run(out).await,
            Self::Upgrade(access) => bid(out, &access, "/v1/upgrade").await,
            Self::Stop(args) => args.run(out).await,
        }
    }
}

/// Asks for something that is answered by what the proxy makes of it.
async fn bid(out: &mut dyn Write, access: &Access, path: &str) -> Result<Outcome, Failure> {
    let said: serde_json::Value = access.client()?.ask(Method::POST, path).await?;
    output::json(out, &said)?;
    Ok(Outcome::Done)
}
