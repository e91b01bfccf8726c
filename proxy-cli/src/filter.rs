//! Which connections a command is about.

use std::net::IpAddr;
use std::str::FromStr;

use proxy_core::Bound;
use proxy_values::bound::BoundError;

use proxy_api::model::{Filter, Phase, SortBy};

/// Which connections: all that agree with everything that is given.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Which connections")]
pub struct FilterArgs {
    /// In this phase.
    #[arg(long, value_parser = PHASES)]
    phase: Option<String>,
    /// Of this route.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// From this client: an address, or a network such as 10.0.0.0/8.
    #[arg(long, value_name = "ADDRESS|NETWORK", value_parser = address_or_network)]
    client: Option<String>,
    /// To this target, such as 10.0.0.7:443.
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// Of this pool.
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
    /// Accepted by this listener, such as 127.0.0.1:8001.
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// With this server name in the ClientHello.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// That had this id on a hop before.
    #[arg(long, value_name = "ID")]
    previous: Option<Id>,
    /// At least so old, such as 30s or 1h30m.
    #[arg(long, value_name = "DURATION")]
    min_age: Option<Bound>,
    /// Silent for at least so long.
    #[arg(long, value_name = "DURATION")]
    min_idle: Option<Bound>,
    /// With this text in their id, in one of a hop before, in their client's address, in their server name, route or target.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
}

/// What `--client` takes, as it is written: the proxy reads it again.
fn address_or_network(text: &str) -> Result<String, String> {
    let (address, bits) = text.split_once('/').unwrap_or((text, "0"));
    let most = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return Err("expected an address, or a network such as 10.0.0.0/8".to_owned()),
    };
    match bits.parse::<u8>() {
        Ok(bits) if bits <= most => Ok(text.to_owned()),
        Ok(_) | Err(_) => Err(format!("expected a prefix from /0 to /{most}")),
    }
}

/// The phases of a connection, in order.
#[expect(
    clippy::indexing_slicing,
    reason = "it is made at compile time, where a place that is none is an error"
)]
pub const PHASES: [&str; Phase::ALL.len()] = {
    let mut names = [""; Phase::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = Phase::ALL[at].name();
        at += 1;
    }
    names
};

impl From<FilterArgs> for Filter {
    fn from(args: FilterArgs) -> Self {
        Self {
            phase: args.phase,
            route: args.route,
            client: args.client,
            target: args.target,
            pool: args.pool,
            listener: args.listener,
            server_name: args.server_name,
            previous: args.previous.map(|id| id.0),
            min_age_s: args.min_age.map(|age| age.get().as_secs_f64()),
            min_idle_s: args.min_idle.map(|idle| idle.get().as_secs_f64()),
            search: args.search,
        }
    }
}

/// A filter as it was asked for, such as `phase=dial min_idle=10m`; empty if it lets everything through.
#[must_use]
pub fn told(filter: &Filter) -> String {
    let duration = |seconds: Option<f64>| {
        let bound =
            std::time::Duration::try_from_secs_f64(seconds?).ok().and_then(|d| Bound::try_from(d).ok());
        Some(bound?.to_string())
    };
    let parts = [
        ("phase", filter.phase.clone()),
        ("route", filter.route.clone()),
        ("client", filter.client.clone()),
        ("target", filter.target.clone()),
        ("pool", filter.pool.clone()),
        ("listener", filter.listener.clone()),
        ("server_name", filter.server_name.clone()),
        ("previous", filter.previous.clone()),
        ("min_age", duration(filter.min_age_s)),
        ("min_idle", duration(filter.min_idle_s)),
        ("search", filter.search.clone()),
    ];
    let given = parts.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
    given.collect::<Vec<_>>().join(" ")
}

/// A filter from words such as `phase=dial min_idle=10m`: the names of the options, with either dash.
///
/// # Errors
/// [`FilterError`]: a word that is none of them.
pub fn parse(text: &str) -> Result<Filter, FilterError> {
    let mut filter = Filter::default();
    for word in text.split_whitespace() {
        let (name, value) = word.split_once('=').ok_or_else(|| FilterError::NotAPair(word.to_owned()))?;
        let owned = || Some(value.to_owned());
        let seconds = || match value.parse::<Bound>() {
            Ok(bound) => Ok(Some(bound.get().as_secs_f64())),
            Err(error) => Err(FilterError::Duration(name.to_owned(), error)),
        };
        match name.replace('-', "_").as_str() {
            "phase" if !PHASES.contains(&value) => return Err(FilterError::Phase(value.to_owned())),
            "phase" => filter.phase = owned(),
            "route" => filter.route = owned(),
            "client" => filter.client = owned(),
            "target" => filter.target = owned(),
            "pool" => filter.pool = owned(),
            "listener" => filter.listener = owned(),
            "server_name" => filter.server_name = owned(),
            "previous" => filter.previous = owned(),
            "search" => filter.search = owned(),
            "min_age" => filter.min_age_s = seconds()?,
            "min_idle" => filter.min_idle_s = seconds()?,
            _ => return Err(FilterError::Unknown(name.to_owned())),
        }
    }
    Ok(filter)
}

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// A word without a value.
    #[error("expected words such as phase=dial or min_idle=10m, found `{0}`")]
    NotAPair(String),
    /// A name that is none of a filter's.
    #[error(
        "`{0}` is none of phase, route, client, target, pool, listener, server_name, previous, min_age, min_idle"
    )]
    Unknown(String),
    /// A phase that there is not.
    #[error("`{0}` is no phase: header, peek, dial, relay, drain")]
    Phase(String),
    /// A value that is no duration.
    #[error("{0}: {1}")]
    Duration(String, BoundError),
}

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Order {
    /// The oldest first.
    #[default]
    Age,
    /// The longest silent first.
    Idle,
    /// Those that moved the most bytes first.
    Bytes,
    /// The longest in its phase first.
    InPhase,
    /// By id.
    Id,
}

impl From<Order> for SortBy {
    fn from(order: Order) -> Self {
        match order {
            Order::Age => Self::Age,
            Order::Idle => Self::Idle,
            Order::Bytes => Self::Bytes,
            Order::InPhase => Self::InPhase,
            Order::Id => Self::Id,
        }
    }
}

/// What comes first in a list that is sorted so.
#[must_use]
pub fn first(sort: SortBy) -> &'static str {
    match sort {
        SortBy::Age => "the oldest first",
        SortBy::Idle => "the longest silent first",
        SortBy::Bytes => "the busiest first",
        SortBy::InPhase => "the longest in its phase first",
        SortBy::Id => "by id",
    }
}

/// The id of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Id(String);

impl Id {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no id of a connection: they look like 5f3a9c1e-1a, as `smartproxy conns` lists them{1}")]
pub struct IdError(String, &'static str);

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let is_of_an_id = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if !text.contains('-') || !text.chars().all(is_of_an_id) {
            let instead = if text == "all" { "; for every connection write --all" } else { "" };
            return Err(IdError(text.to_owned(), instead));
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_client_and_no_id_is_refused_here() {
        for good in ["10.0.0.1", "10.0.0.0/8", "2001:db8::/128", "::/0"] {
            assert_eq!(address_or_network(good).unwrap(), good);
        }
        for bad in ["10.0.0.0/40", "10.0.0.0/", "web", "2001:db8::/129", ""] {
            assert!(address_or_network(bad).is_err(), "{bad}");
        }
        assert!("nonsense".parse::<Id>().is_err() && "5f3a9c1e-1a".parse::<Id>().is_ok());
        assert!("all".parse::<Id>().unwrap_err().to_string().ends_with("for every connection write --all"));
    }

    #[test]
    fn a_filter_is_told_as_it_was_asked_for() {
        let args = FilterArgs {
            phase: Some("dial".to_owned()),
            min_idle: Some(Bound::secs(90)),
            ..FilterArgs::default()
        };
        assert_eq!(told(&args.into()), "phase=dial min_idle=1m30s");
        assert_eq!(told(&Filter::default()), "");
    }

    #[test]
    fn what_is_told_can_be_said() {
        let text = "phase=dial route=a client=10.0.0.0/8 target=b:1 pool=c listener=d:2 server_name=e previous=f-1 \
                    min_age=1h min_idle=10m";
        assert_eq!(told(&parse(text).unwrap()), text);
        assert_eq!(parse("min-age=2s").unwrap().min_age_s, Some(2.0));
        assert_eq!(parse("  ").unwrap(), Filter::default());
    }

    #[test]
    fn what_is_no_filter_says_why() {
        for (text, error) in [
            ("dial", "expected words such as phase=dial or min_idle=10m, found `dial`"),
            ("phase=dail", "`dail` is no phase: header, peek, dial, relay, drain"),
            ("min_age=30", "min_age: a duration needs a unit (ms, s, m, h, d): did you mean \"30s\"?"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), error);
        }
        assert!(parse("colour=red").unwrap_err().to_string().starts_with("`colour` is none of phase"));
    }

    #[test]
    fn an_id_goes_into_a_path_unchanged_or_not_at_all() {
        assert_eq!("5f3a9c1e-1a".parse::<Id>().unwrap().as_str(), "5f3a9c1e-1a");
        for bad in ["", "a/b", "a b", "../x", "a?b"] {
            assert_eq!(bad.parse::<Id>(), Err(IdError(bad.to_owned(), "")));
        }
    }
}
