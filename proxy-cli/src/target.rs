//! `smartproxy target`: the members of a group, changed while the proxy runs.

use std::io::Write;

use clap::Subcommand;
use hyper::Method;

use super::access::Access;
use super::format::count;
use super::output::{self, Failure, Outcome};
use proxy_api::model::{AddMember, Leaving, MemberChange, RemoveMember, SetWeight};

/// What to change.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A weight lasts until a reload gives the member another one than the file does now; who is added
or removed, until the next reload, which says who the members are. Nothing lasts beyond the
process: write it into the file as well. To have no new connections taken to a target of any
group or route: smartproxy drain target TARGET.

Examples:
  smartproxy target weight inner 10.0.0.2:443 0     nobody more goes there, those there stay
  smartproxy target weight web 10.0.0.3:443 4       of a route's own list
  smartproxy target add inner 10.0.0.7:443 --weight 2
  smartproxy target remove inner 10.0.0.7:443 --drain
  smartproxy groups inner                           how they are now")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Set the weight of a member.
    Weight(Weight),
    /// Add a member to a group.
    Add(Add),
    /// Remove a member from a group.
    Remove(Remove),
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "smartproxy target weight [OPTIONS] [GROUP|ROUTE] <TARGET> <WEIGHT>")]
struct Weight {
    /// The member, and before it its group, or the route in whose own list it is, where several have such a target.
    #[arg(value_name = "TARGET", num_args = 1..=2, required = true)]
    names: Vec<String>,
    /// Its weight from now on, from 0 to 256. 0: nobody more is taken there while others are left.
    #[arg(value_parser = clap::value_parser!(u32).range(0..=256))]
    weight: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Add {
    /// The group.
    group: String,
    /// Where the member is, such as `10.0.0.7:443`.
    target: String,
    /// Its weight, from 0 to 256.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=256))]
    weight: u32,
    /// Its level: those of a higher number are used where too few of the lower ones may be.
    #[arg(long, value_name = "LEVEL", default_value_t = 0)]
    priority: u8,
    /// Use it only where no other member may be.
    #[arg(long)]
    backup: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Remove {
    /// The group.
    group: String,
    /// The member.
    target: String,
    /// Its connections go on.
    #[arg(long, conflicts_with_all = ["kill", "drain"])]
    keep: bool,
    /// Its connections are reset.
    #[arg(long, conflicts_with = "drain")]
    kill: bool,
    /// Its connections have `graceful_shutdown_timeout` to end by themselves.
    #[arg(long)]
    drain: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Changes it, and says how it is then.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let client = access.client()?;
        let (change, wanted, json): (MemberChange, Wanted, bool) = match self.what {
            What::Weight(Weight { mut names, weight, json }) => {
                let target = names.pop().unwrap_or_default();
                let request = SetWeight { group: names.pop(), target, weight };
                (client.ask_for(Method::POST, "/v1/targets/weight", &request).await?, Wanted::Weight, json)
            }
            What::Add(Add { group, target, weight, priority, backup, json }) => {
                let request =
                    AddMember { group, target, weight: Some(weight), priority: Some(priority), backup };
                (client.ask_for(Method::POST, "/v1/targets/add", &request).await?, Wanted::Members, json)
            }
            What::Remove(remove) => {
                let (leaving, json) = (remove.leaving(), remove.json);
                let request = RemoveMember { group: remove.group, target: remove.target, leaving };
                (client.ask_for(Method::POST, "/v1/targets/remove", &request).await?, Wanted::Members, json)
            }
        };
        if json {
            output::json(out, &change)?;
        } else {
            output::text(out, told(&change, wanted))?;
        }
        Ok(Outcome::Done)
    }
}

/// What was to be changed.
#[derive(Clone, Copy)]
enum Wanted {
    Weight,
    Members,
}

impl Remove {
    fn leaving(&self) -> Option<Leaving> {
        match (self.keep, self.kill, self.drain) {
            (true, ..) => Some(Leaving::Keep),
            (_, true, _) => Some(Leaving::Kill),
            (.., true) => Some(Leaving::Drain),
            (false, false, false) => None,
        }
    }
}

/// How long a change lasts.
const WEIGHT_LASTS: &str = "until a reload gives it another weight than the file does now, or the next start";
const MEMBERS_LAST: &str = "until the next reload or start: write it into the file as well";

fn told(change: &MemberChange, wanted: Wanted) -> String {
    let MemberChange { group, target, changed, member, connections, leaving } = change;
    let open = count(*connections, "connection", "connections");
    let lasts = match (changed, wanted) {
        (false, _) => "it was so before",
        (true, Wanted::Weight) => WEIGHT_LASTS,
        (true, Wanted::Members) => MEMBERS_LAST,
    };
    match member {
        Some(member) if member.group.is_none() => {
            format!("{target} of route {group}: weight {}, {open}; {lasts}\n", member.weight)
        }
        Some(member) => format!("{target} of group {group}: weight {}, {open}; {lasts}\n", member.weight),
        None => {
            let leaving = match leaving {
                Some(Leaving::Kill) => "those that it had are reset".to_owned(),
                Some(Leaving::Drain) => format!("{open} may end by themselves, and are reset after that"),
                Some(Leaving::Keep) | None => format!("{open} go on"),
            };
            format!("{target} is no member of group {group} any more: {leaving}; {lasts}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn a_change_is_told_with_how_long_it_lasts() {
        let mut member = fixtures::member("10.0.0.2:443", 12);
        member.weight = 4;
        let mut change = MemberChange {
            group: "inner".to_owned(),
            target: "10.0.0.2:443".to_owned(),
            changed: true,
            member: Some(member),
            connections: 12,
            leaving: None,
        };
        insta::assert_snapshot!(told(&change, Wanted::Weight), @"10.0.0.2:443 of group inner: weight 4, 12 connections; until a reload gives it another weight than the file does now, or the next start");
        change.changed = false;
        insta::assert_snapshot!(told(&change, Wanted::Weight), @"10.0.0.2:443 of group inner: weight 4, 12 connections; it was so before");
        let mut listed = fixtures::target();
        listed.weight = 3;
        let of_route = MemberChange { group: "web".to_owned(), member: Some(listed), ..change.clone() };
        insta::assert_snapshot!(told(&of_route, Wanted::Weight), @"10.0.0.2:443 of route web: weight 3, 12 connections; it was so before");
        (change.changed, change.member) = (true, None);
        for leaving in [Leaving::Keep, Leaving::Kill, Leaving::Drain] {
            change.leaving = Some(leaving);
            assert!(
                told(&change, Wanted::Members)
                    .starts_with("10.0.0.2:443 is no member of group inner any more: ")
            );
        }
        insta::assert_snapshot!(told(&change, Wanted::Members), @"10.0.0.2:443 is no member of group inner any more: 12 connections may end by themselves, and are reset after that; until the next reload or start: write it into the file as well");
    }
}
