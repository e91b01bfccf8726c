//! `smartproxy conns`: the table of connections.

use std::io::Write;

use super::access::Access;
use super::filter::{self, FilterArgs, Order};
use super::format::{Align, Table, age, bytes, known};
use super::list::Ask;
use super::output::{self, Failure, Outcome};
use proxy_api::model::{Connection, Connections};

/// Which connections to list, and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What comes first.
    #[arg(long, value_enum, default_value_t, value_name = "ORDER")]
    sort: Order,
    /// The other way round.
    #[arg(long)]
    reverse: bool,
    /// List at most so many.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..), value_name = "COUNT")]
    limit: u64,
    /// Print JSON: times in seconds, sizes in bytes.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

impl Args {
    /// Lists them.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let ask = Ask { filter: self.filter.into(), sort: self.sort.into(), reverse: self.reverse };
        let read = ask.read(&access.client()?, self.limit).await?;
        if self.json {
            output::json(out, &read)?;
        } else {
            output::text(out, list(&read, &ask))?;
        }
        Ok(Outcome::Done)
    }
}

fn list(read: &Connections, ask: &Ask) -> String {
    let mut text = headline(read, ask);
    let table = table(&read.connections);
    if !table.is_empty() {
        text.push_str(&table.to_string());
    }
    text
}

/// How many of how many, and why not all.
fn headline(read: &Connections, ask: &Ask) -> String {
    let filter = filter::told(&ask.filter);
    let mut text = if filter.is_empty() {
        format!("{} open", read.total)
    } else {
        format!("{} of {} open: {filter}", read.matched, read.total)
    };
    let shown = read.connections.len() as u64;
    if shown < read.matched {
        let order = if ask.reverse { "in reverse" } else { filter::first(ask.sort) };
        text.push_str(&format!("; {shown} shown, {order} (--limit)"));
    }
    text.push('\n');
    text
}

/// The table itself.
fn table(connections: &[Connection]) -> Table {
    use Align::{Left, Right};
    let mut columns = vec![
        ("ID", Left),
        ("PHASE", Left),
        ("AGE", Right),
        ("IDLE", Right),
        ("CLIENT", Left),
        ("→ TARGET", Left),
        ("ROUTE", Left),
        ("FROM CLIENT", Right),
        ("FROM BACKEND", Right),
        ("DEADLINE", Left),
    ];
    // Where no client's TLS ends here there is nothing to say of it.
    let with_tls = connections.iter().any(|connection| tls(connection).is_some());
    if with_tls {
        columns.push(("TLS", Left));
    }
    let mut table = Table::new(&columns);
    for connection in connections {
        table.row([
            connection.id.clone(),
            connection.phase.clone(),
            age(connection.age_s),
            age(connection.idle_s),
            client(connection),
            target(connection),
            known(connection.route.as_deref()).to_owned(),
            bytes(connection.from_client_bytes),
            bytes(connection.from_backend_bytes),
            deadline(connection),
            known(tls(connection).as_deref()).to_owned(),
        ]);
    }
    table
}

/// Who a connection is from; in parentheses who is on the socket, while no more is known.
#[must_use]
pub(super) fn client(connection: &Connection) -> String {
    connection.client.clone().unwrap_or_else(|| format!("({})", connection.peer))
}

/// The version of its client's TLS that ends here, and who the client has proven to be.
fn tls(connection: &Connection) -> Option<String> {
    let tls = connection.tls.as_ref()?;
    let version = tls.version.as_ref()?;
    let identity = tls.identity.as_ref().map(|identity| format!(" {identity}"));
    Some(version.clone() + &identity.unwrap_or_default())
}

/// Where it goes, as far as that is known.
#[must_use]
pub(super) fn target(connection: &Connection) -> String {
    connection.target.as_ref().map_or_else(|| "-".to_owned(), |target| format!("→ {target}"))
}

/// What ends it, and when.
#[must_use]
pub(super) fn deadline(connection: &Connection) -> String {
    if connection.deadline_in_s < 0.0 {
        return format!("{}, overdue by {}", connection.deadline, age(-connection.deadline_in_s));
    }
    format!("{} in {}", connection.deadline, age(connection.deadline_in_s))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use proxy_api::model::{Filter, SortBy, Tls};

    fn read(matched: u64, connections: Vec<Connection>) -> Connections {
        Connections { total: 20_000, matched, connections, next: None }
    }

    #[test]
    fn the_first_line_says_how_many_of_how_many() {
        let all = Ask::default();
        let dialling = Ask {
            filter: Filter { phase: Some("dial".to_owned()), ..Filter::default() },
            sort: SortBy::Idle,
            reverse: false,
        };
        let two = || vec![fixtures::connection("a-1", "dial"), fixtures::connection("a-2", "dial")];
        assert_eq!(headline(&read(20_000, two()), &all), "20000 open; 2 shown, the oldest first (--limit)\n");
        assert_eq!(headline(&read(2, two()), &dialling), "2 of 20000 open: phase=dial\n");
        assert_eq!(
            headline(&read(3, two()), &dialling),
            "3 of 20000 open: phase=dial; 2 shown, the longest silent first (--limit)\n"
        );
        assert_eq!(list(&read(0, Vec::new()), &dialling), "0 of 20000 open: phase=dial\n");
    }

    #[test]
    fn the_versions_of_tls_are_a_column_where_it_ends_here() {
        let (mut ends, mut proven) =
            (fixtures::connection("a-1", "relay"), fixtures::connection("a-2", "relay"));
        let tls = Tls { version: Some("TLSv1.2".to_owned()), ..Tls::default() };
        ends.tls = Some(tls.clone());
        proven.tls = Some(Tls { identity: Some("outer".to_owned()), ..tls });
        let text = table(&[ends, proven, fixtures::connection("a-3", "relay")]).to_string();
        let last: Vec<_> = text.lines().map(|line| line.rsplit("  ").next().unwrap_or_default()).collect();
        assert_eq!(last, ["TLS", "TLSv1.2", "TLSv1.2 outer", "-"]);
    }

    #[test]
    fn what_is_not_known_yet_is_not_made_up() {
        let mut young = fixtures::connection("a-10", "header");
        (young.client, young.target, young.route) = (None, None, None);
        young.deadline_in_s = -3.0;
        insta::assert_snapshot!(table(&[fixtures::connection("a-1", "relay"), young]).to_string(), @r"
        ID    PHASE     AGE  IDLE  CLIENT            → TARGET          ROUTE  FROM CLIENT  FROM BACKEND  DEADLINE
        a-1   relay   1m01s  3.2s  10.0.0.1:40001    → 127.0.0.1:9002  web          512 B       3.4 MiB  idle in 9m57s
        a-10  header  1m01s  3.2s  (10.0.0.1:40001)  -                 -            512 B       3.4 MiB  idle, overdue by 3.0s
        ");
    }
}
