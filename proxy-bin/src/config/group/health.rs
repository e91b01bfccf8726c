//! How a group's members are checked, and when outcomes take one out: as it is written.

mod check;

use std::fmt;
use std::sync::Arc;

use proxy_conn::Jitter;
use proxy_core::Bound;
use proxy_upstream::Percent;
use proxy_upstream::health::{
    CheckHeader, CheckKind, CheckOptions, HttpCheck, Inside, OutlierOptions, StatusRange,
};
use proxy_values::Whole;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

pub(super) use check::{check, useless};

/// The user of a check of MariaDB who is not named.
const CHECK_USER: &str = "smartproxy_check";

/// How the members of a group are checked: a word, or a table.
#[derive(Debug)]
pub(in crate::config) struct CheckFile(Table);

/// What a check says and expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum KindFile {
    /// A handshake alone, which the backend's program is not told of.
    Connect,
    /// `PING`, and `+PONG` (or that a password is wanted).
    Redis,
    /// A request for TLS, and whether the server would.
    Postgres,
    /// A login and a farewell.
    Mariadb,
    /// The greeting, `QUIT` and its answer.
    Smtp,
    /// The server's version.
    Ssh,
    /// A TLS handshake, whatever the certificate.
    Tls,
    /// A `GET`, and the status of its answer.
    Http,
    /// The same within TLS, whatever the certificate.
    Https,
    /// Another SmartProxy is asked how it is.
    Smartproxy,
}

impl KindFile {
    const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
            Self::Mariadb => "mariadb",
            Self::Smtp => "smtp",
            Self::Ssh => "ssh",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Https => "https",
            Self::Smartproxy => "smartproxy",
        }
    }
}

/// The table form.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Table {
    /// What is said and expected: `"connect"`, a handshake alone that is ended before the backend's program is told of it, and
    /// proves no more than a kernel that listens; `"redis"`; `"postgres"`; `"mariadb"`, a login as `user`; `"smtp"`; `"ssh"`, which
    /// costs the server a line in its log; `"tls"`, a handshake whatever the certificate; `"http"`; `"https"`, the two together;
    /// `"smartproxy"`, another SmartProxy, which says how loaded it is and whether it drains. Needed, unless there is `expect`.
    kind: Option<KindFile>,
    /// A text that is sent, instead of a `kind`; nothing where it is left out.
    send: Option<Box<str>>,
    /// A text that has to be in the first 4 KiB of the answer, instead of a `kind`.
    expect: Option<Box<str>>,
    /// Who logs in to `"mariadb"`: a user without rights and without a password. Default `"smartproxy_check"`.
    user: Option<Box<str>>,
    /// What is asked of `"http"` and `"https"`. Default `"/"`.
    path: Option<Box<str>>,
    /// Whom it is asked of, the header `Host`. Default what `server_name` says, else `"localhost"`.
    host: Option<Box<str>>,
    /// Which answers are good, such as `"200"` or `"200-399"`. Default `"200-399"`.
    status: Option<StatusRange>,
    /// The name that `"tls"` and `"https"` ask for, and on behalf of whose clients `"smartproxy"` asks. Default none.
    server_name: Option<Box<str>>,
    /// The PROXY header before it, which speaks for the proxy itself: `"off"`, `"v1"` (`PROXY UNKNOWN`) or `"v2"` (LOCAL). Default:
    /// what the routes send that are taken to the group.
    send_proxy: Option<CheckHeader>,
    /// The port that is checked. Default the member's own.
    port: Option<Whole<1, 65_535>>,
    /// From one check to the next. Default 2s; 1m for `"ssh"`.
    interval: Option<Bound>,
    /// By how many percent that is off at random, either way, so that checks do not come in herds; 0 to 50. Default 10.
    jitter: Option<Jitter>,
    /// For a whole check. Default a quarter of the interval, at most 2s: a member that becomes silent is down within two intervals.
    timeout: Option<Bound>,
    /// From one check to the next while something changes, or is down. Default a quarter of the interval.
    fast_interval: Option<Bound>,
    /// How many in a row have to pass for a member that is down to be up; 1 to 100. Default 2.
    rise: Option<Whole<1, 100>>,
    /// How many in a row have to fail for a member to be down; 1 to 100. Default 3.
    fall: Option<Whole<1, 100>>,
}

impl CheckFile {
    /// What it comes to, where routes that are taken to the group send such a header, and go there as this hop.
    pub(super) fn resolved(&self, (sent, hop): (CheckHeader, Option<Inside>)) -> Arc<CheckOptions> {
        let Table { port, interval, timeout, fast_interval, jitter, rise, fall, .. } = &self.0;
        let default = CheckOptions::default();
        // A question to a hop is such a header itself, and a connect check ends before one could be sent.
        let sends_none = matches!(self.0.kind, Some(KindFile::Connect | KindFile::Smartproxy));
        let header = if sends_none { CheckHeader::None } else { self.0.send_proxy.unwrap_or(sent) };
        Arc::new(
            CheckOptions::default()
                .kind(self.kind())
                .header(header)
                // What is on another port is no hop.
                .inside(hop.filter(|_| port.is_none()))
                .port(*port)
                .interval(*interval)
                .timeout(*timeout)
                .fast_interval(*fast_interval)
                .jitter(jitter.unwrap_or(default.jitter))
                .rise(rise.unwrap_or(default.rise))
                .fall(fall.unwrap_or(default.fall)),
        )
    }

    fn kind(&self) -> CheckKind {
        let Table { send, expect, user, path, host, status, server_name, .. } = &self.0;
        let default = HttpCheck::default();
        let http = HttpCheck::default()
            .path(path.clone().unwrap_or(default.path))
            .host(host.as_ref().or(server_name.as_ref()).cloned().unwrap_or(default.host))
            .status(status.unwrap_or(default.status));
        match self.0.kind {
            // A check that says neither is an error; it comes to nothing.
            None => CheckKind::Text {
                send: send.clone().unwrap_or_default(),
                expect: expect.clone().unwrap_or_default(),
            },
            Some(KindFile::Connect) => CheckKind::Connect,
            Some(KindFile::Redis) => CheckKind::Redis,
            Some(KindFile::Postgres) => CheckKind::Postgres,
            Some(KindFile::Mariadb) => CheckKind::Mariadb(user.clone().unwrap_or_else(|| CHECK_USER.into())),
            Some(KindFile::Smtp) => CheckKind::Smtp,
            Some(KindFile::Ssh) => CheckKind::Ssh,
            Some(KindFile::Tls) => CheckKind::Tls(server_name.clone()),
            Some(KindFile::Http) => CheckKind::Http(http),
            Some(KindFile::Https) => CheckKind::Https(server_name.clone(), http),
            Some(KindFile::Smartproxy) => CheckKind::Smartproxy(server_name.clone()),
        }
    }
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = CheckFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a check such as \"redis\" or { kind = \"redis\", interval = \"5s\" }")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<CheckFile, E> {
        let kind = KindFile::deserialize(StrDeserializer::<E>::new(word))?;
        Ok(CheckFile(Table { kind: Some(kind), ..Table::default() }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CheckFile, A::Error> {
        Table::deserialize(MapAccessDeserializer::new(map)).map(CheckFile)
    }
}

impl<'de> Deserialize<'de> for CheckFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for CheckFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Check".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (word, table) = (KindFile::json_schema(generator), Table::json_schema(generator));
        json_schema!({
            "description": "How members are checked: a kind by itself, or a table that says more.",
            "examples": ["redis", "smartproxy"],
            "anyOf": [word, table],
        })
    }
}

/// When outcomes of connections take a member out for a while. A connection ends badly that cannot be made, that the backend resets
/// before it has sent a byte, or that has had no byte by `first_byte_due`.
#[derive(Debug, Clone, Copy, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct OutliersFile {
    /// When so many in a row have ended badly; 1 to 10000. Default 5.
    consecutive: Option<Whole<1, 10_000>>,
    /// Or when the share of those that did is greater than that of the other members together by so many percent. Default 50.
    share: Option<Percent>,
    /// Of how many of the last ends that is the share; 10 to 100000. Default 100.
    window: Option<Whole<10, 100_000>>,
    /// When a backend has to have sent its first byte, after it was reached. Set it where backends speak first, or clients do at
    /// once. Default: none need ever come.
    first_byte_due: Option<Bound>,
    /// For how long a member is out the first time; each further time is twice as long. Default 10s.
    ejection: Option<Bound>,
    /// The longest that it is out; not below `ejection`. Default 5m.
    longest_ejection: Option<Bound>,
    /// How many percent of the members may be out at one time, those that are down by their checks among them. One may in any case,
    /// all never. Default 50.
    max_ejected: Option<Percent>,
}

impl OutliersFile {
    pub(super) fn resolved(&self) -> OutlierOptions {
        let default = OutlierOptions::default();
        OutlierOptions::default()
            .consecutive(self.consecutive.unwrap_or(default.consecutive))
            .share(self.share.unwrap_or(default.share))
            .window(self.window.unwrap_or(default.window))
            .first_byte_due(self.first_byte_due)
            .ejection(self.ejection.unwrap_or(default.ejection))
            .longest_ejection(self.longest_ejection.unwrap_or(default.longest_ejection))
            .max_ejected(self.max_ejected.unwrap_or(default.max_ejected))
    }
}
