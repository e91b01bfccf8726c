//! `smartproxy groups`: the groups that have a name, each with its members.

use std::io::Write;

use super::access::Access;
use super::format::{Align, Table, age, count, fine, usage};
use super::output::{self, Failure, Outcome};
use super::status::{state, weighed};
use proxy_api::model::{Group, GroupName, Target};

/// Which, and how to tell it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this one.
    name: Option<String>,
    /// Print JSON: times in seconds, sizes in bytes.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Lists them.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let mut groups: Vec<Group> = access.client()?.fetch("/v1/groups").await?;
        if let Some(name) = &self.name {
            let known: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
            groups.retain(|group| group.name == *name);
            if groups.is_empty() {
                return Err(Failure::Usage(none(name, &known)));
            }
        }
        if self.json {
            output::json(out, &groups)?;
        } else if groups.is_empty() {
            output::text(out, "no group has a name: the routes list their targets (smartproxy routes)\n")?;
        } else {
            output::text(out, table(&groups))?;
        }
        Ok(Outcome::Done)
    }
}

fn none(name: &str, known: &[String]) -> String {
    let there = if known.is_empty() { "there is none".to_owned() } else { known.join(", ") };
    match proxy_values::spelling::nearest(name, known) {
        Some(near) => format!("there is no group {name}, perhaps {near}"),
        None => format!("there is no group {name}; there is: {there}"),
    }
}

fn table(groups: &[Group]) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("GROUP", Left),
        ("→ MEMBER", Left),
        ("OPEN", Right),
        ("WEIGHT", Right),
        ("LEVEL", Right),
        ("DIALLED", Right),
        ("FAILED", Right),
        ("MEDIAN", Right),
        ("STATE", Left),
    ]);
    for group in groups {
        let (up, all) = (group.members_up, group.members_in_all);
        let nothing = String::new;
        table.row([
            group.name.clone(),
            nothing(),
            group.connections.to_string(),
            nothing(),
            nothing(),
            nothing(),
            nothing(),
            nothing(),
            format!("{up} of {all} up, {}, {}", group.balance, count(group.routes, "route", "routes")),
        ]);
        for name in &group.names {
            table.row(named(name));
        }
        group.members.iter().for_each(|one| table.row(member(one)));
    }
    table
}

/// A name that stands for members, above those.
fn named(name: &GroupName) -> [String; 9] {
    let mut row: [String; 9] = Default::default();
    let found = match (&name.error, name.found_s) {
        (None, Some(since)) => {
            format!("{}, by the answer of {} ago", count(name.members, "member", "members"), age(since))
        }
        (None, None) => "not looked up yet".to_owned(),
        (Some(why), Some(since)) => format!("! {why}; its members are of {} ago", age(since)),
        (Some(why), None) => format!("! {why}; it has no members yet"),
    };
    let [_, who, .., state] = &mut row;
    (*who, *state) = (name.name.clone(), found);
    row
}

fn member(one: &Target) -> [String; 9] {
    let failed: u64 = one.failed_total.values().sum();
    [
        String::new(),
        format!("→ {}", one.target),
        usage(one.connections),
        one.weight.to_string(),
        if one.backup { "backup".to_owned() } else { one.priority.to_string() },
        one.dialled_total.to_string(),
        failed.to_string(),
        one.dial_median_s.map_or_else(|| "-".to_owned(), fine),
        format!("{}{}", state(one), weighed(one).replace(", backup", "")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn groups_are_listed_with_their_members() {
        insta::assert_snapshot!(table(&[fixtures::group()]).to_string(), @"
GROUP  → MEMBER        OPEN  WEIGHT   LEVEL  DIALLED  FAILED  MEDIAN  STATE
inner                   135                                           3 of 4 up, least_connections, 2 routes
       → 10.0.0.1:443   120       1       0      400       0   1.0ms  up
       → 10.0.0.2:443     3       1       0      400       0   1.0ms  down: no answer to its check within 2s, for 1m15s
       → 10.0.0.3:443    12       4       0      400       0   1.0ms  slow start, at 40 % of its weight
       → 10.0.0.4:443     0       0  backup      400       0   1.0ms  up, set by hand
");
    }

    #[test]
    fn names_that_stand_for_members_are_above_those() {
        let name = |name: &str, found_s, error: Option<&str>| GroupName {
            name: name.to_owned(),
            members: 3,
            found_s,
            error: error.map(str::to_owned),
        };
        let names = vec![
            name("srv+_a._tcp.x", Some(12.0), None),
            name("srv+_b._tcp.x", None, None),
            name("dns+c.x:80", Some(75.0), Some("no answer in time")),
            name("dns+d.x:80", None, Some("d.x does not exist")),
        ];
        let group =
            Group { names, members: vec![fixtures::member("10.0.0.1:443", 120)], ..fixtures::group() };
        let text = table(&[group]).to_string();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (nth, (name, said)) in [
            ("srv+_a._tcp.x", "3 members, by the answer of 12s ago"),
            ("srv+_b._tcp.x", "not looked up yet"),
            ("dns+c.x:80", "! no answer in time; its members are of 1m15s ago"),
            ("dns+d.x:80", "! d.x does not exist; it has no members yet"),
        ]
        .into_iter()
        .enumerate()
        {
            assert!(lines[2 + nth].starts_with(name) && lines[2 + nth].ends_with(said), "{text}");
        }
        assert!(lines[6].starts_with("→ 10.0.0.1:443"), "{text}");
    }

    #[test]
    fn a_name_that_is_not_there_is_told_with_those_that_are() {
        let known = ["inner".to_owned(), "spare".to_owned()];
        assert_eq!(none("iner", &known), "there is no group iner, perhaps inner");
        assert_eq!(none("x", &known), "there is no group x; there is: inner, spare");
        assert_eq!(none("x", &[]), "there is no group x; there is: there is none");
    }
}
