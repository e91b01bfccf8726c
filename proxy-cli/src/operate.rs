//! The commands that talk to a running proxy.

use std::io::Write;

use clap::Subcommand;

use super::access::Access;
use super::output::{Failure, Outcome};
use super::{
    audit, certs, chain, conns, control, drain, findings, groups, history, kill, reload, routes, show,
    status, target, targets, top, trace,
};

/// What to ask of a running proxy.
#[derive(Debug, Subcommand)]
pub enum Operate {
    /// The whole proxy on one screen; lines that want attention begin with `!`.
    Status(status::Args),
    /// List what is wrong: with what, since when, why, and what to type.
    Findings(findings::Args),
    /// Watch it live on the whole screen: phases, routes, the oldest and the busiest connections.
    Top(top::Args),
    /// List connections, as `ss` does for sockets.
    Conns(conns::Args),
    /// List the routes, each with its targets: connections, what failed, breakers.
    Routes(routes::RoutesArgs),
    /// Draw what was over ten minutes, six hours or fourteen days: of the whole proxy, a route, a target.
    History(history::Args),
    /// List the targets and members of groups, those first that have failed the most connections.
    Targets(targets::Args),
    /// List the groups of targets that have a name, each with its members: connections, weights, who is up and why not.
    Groups(groups::Args),
    /// Change a group while the proxy runs: the weight of a member, one more, one less.
    Target(target::Args),
    /// List the limits: in use, at most, waiting.
    Limits(routes::Args),
    /// List the certificates that are presented: names, how long they are valid yet, files, and what is wrong with them.
    Certs(certs::Args),
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
    Upgrade(control::UpgradeArgs),
    /// Stop: accept nothing more, let connections finish for `graceful_shutdown_timeout`, and end.
    Stop(control::StopArgs),
}

impl Operate {
    /// Does it with the proxy that `access` leads to, and writes to `out` what there is to say.
    ///
    /// # Errors
    /// [`Failure`]: the proxy cannot be reached or refuses, or `out` cannot be written to.
    pub async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        match self {
            Self::Status(args) => args.run(access, out).await,
            Self::Findings(args) => args.run(access, out).await,
            Self::Top(args) => args.run(access).await,
            Self::Conns(args) => args.run(access, out).await,
            Self::Routes(args) => args.routes(access, out).await,
            Self::History(args) => args.run(access, out).await,
            Self::Targets(args) => args.run(access, out).await,
            Self::Groups(args) => args.run(access, out).await,
            Self::Target(args) => args.run(access, out).await,
            Self::Limits(args) => args.limits(access, out).await,
            Self::Certs(args) => args.run(access, out).await,
            Self::Show(args) => args.run(access, out).await,
            Self::Trace(args) => args.run(access, out).await,
            Self::Chain(args) => args.run(access, out).await,
            Self::Kill(args) => args.run(access, out).await,
            Self::Drain(args) => args.run(access, out).await,
            Self::Reload(args) => args.run(access, out).await,
            Self::Diff(args) => args.run(access, out).await,
            Self::Audit(args) => args.run(access, out).await,
            Self::Log(args) => args.run(access, out).await,
            Self::Upgrade(args) => args.run(access, out).await,
            Self::Stop(args) => args.run(access, out).await,
        }
    }
}
