//! Which rule does a request of HTTP take? A compiled table over host, path, method, fields and query.
//!
//! Of all rules that match a request the one of the highest rank is taken, compared in this order:
//!
//! 1. the host: an exact name, then a wildcard with more labels, then one with fewer, then `*` (any host), then none given;
//! 2. the path: exact, then a pattern (more fixed segments first), then a prefix (the longer first), then none given;
//! 3. the number of other conditions: a gRPC service, a method, fields, parameters of the query;
//! 4. the place in the list.
//!
//! Two rules that say the same are refused when the table is built.
//!
//! Paths are compared in one form ([`PathView`]). A path that servers read in several ways is in none: where some rule looks at paths
//! at all, a request for it takes none ([`SeveralReadings`]), lest what is refused here is served behind.

mod path;

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::{DomainPattern, Shape, canonical};

pub use path::{PathError, PathMatch, PathPattern, PathView, SeveralReadings};

/// The fields of a request.
pub trait Fields {
    /// Whether some value of the field of that name, in lower case, passes the test.
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool;
}

/// What a request says.
#[derive(Clone, Copy)]
pub struct RequestFacts<'a> {
    /// The method.
    pub method: &'a str,
    /// The host, without a port, in any case; None where it names none.
    pub host: Option<&'a str>,
    /// The path, as it came, without the query.
    pub path: &'a str,
    /// The query, as it came, without the question mark.
    pub query: Option<&'a str>,
    /// Its fields.
    pub fields: &'a dyn Fields,
}

impl std::fmt::Debug for RequestFacts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { method, host, path, query, .. } = self;
        f.debug_struct("RequestFacts")
            .field("method", method)
            .field("host", host)
            .field("path", path)
            .field("query", query)
            .finish_non_exhaustive()
    }
}

/// What a rule takes: all of it has to hold. What is left empty restricts nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestMatch {
    /// Of these hosts, one.
    pub hosts: Vec<DomainPattern>,
    /// The path.
    pub path: Option<PathMatch>,
    /// Of these methods, one; they are compared as they are written.
    pub methods: Vec<String>,
    /// All of these fields.
    pub fields: Vec<FieldMatch>,
    /// All of these parameters of the query, their names and values decoded.
    pub query: Vec<FieldMatch>,
    /// The gRPC service, such as `helloworld.Greeter`.
    pub grpc_service: Option<String>,
}

/// One field, or one parameter of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldMatch {
    /// Its name; of a field, in lower case.
    pub name: String,
    /// What it has to be.
    pub is: FieldIs,
}

/// What a field has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldIs {
    /// There, whatever it is.
    Present,
    /// Not there.
    Absent,
    /// One value of it is this one.
    Exact(String),
}

impl RequestMatch {
    fn conditions(&self) -> usize {
        let one = usize::from;
        one(self.grpc_service.is_some())
            + one(!self.methods.is_empty())
            + self.fields.len()
            + self.query.len()
    }

    /// Whether what is no host and no path holds.
    fn holds(&self, facts: &RequestFacts<'_>) -> bool {
        (self.methods.is_empty() || self.methods.iter().any(|method| method == facts.method))
            && self.grpc_service.as_ref().is_none_or(|service| calls(service, facts))
            && self.fields.iter().all(|field| field.holds(|name, test| facts.fields.any(name, test)))
            && self.query.iter().all(|field| field.holds(|name, test| parameter(facts.query, name, test)))
    }
}

impl FieldMatch {
    fn holds(&self, any: impl Fn(&str, &mut dyn FnMut(&[u8]) -> bool) -> bool) -> bool {
        match &self.is {
            FieldIs::Present => any(&self.name, &mut |_| true),
            FieldIs::Absent => !any(&self.name, &mut |_| true),
            FieldIs::Exact(value) => any(&self.name, &mut |one| one == value.as_bytes()),
        }
    }
}

/// Whether it is a call of a method of that gRPC service.
fn calls(service: &str, facts: &RequestFacts<'_>) -> bool {
    let of_service = facts.path.strip_prefix('/').and_then(|path| path.strip_prefix(service));
    of_service.is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
        && facts.fields.any("content-type", &mut |kind| kind.starts_with(b"application/grpc"))
}

/// Whether some value of that parameter passes the test.
fn parameter(query: Option<&str>, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty()).any(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        path::decoded(key) == name.as_bytes() && test(&path::decoded(value))
    })
}

/// Two rules that say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "rule {second} takes what rule {first} takes, and nothing else: remove one of them, or let them differ in what they match"
)]
pub struct SameRules {
    /// The place of the first, from 0.
    pub first: usize,
    /// That of the second.
    pub second: usize,
}

/// The rules of a route, compiled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestTable {
    rules: Vec<RequestMatch>,
    exact: HashMap<Arc<str>, Paths>,
    below: HashMap<Arc<str>, Paths>,
    any_host: Paths,
    no_host: Paths,
    /// Whether some rule looks at a path.
    reads_paths: bool,
}

/// The rules of one host, by path; each list in the order in which they are tried.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Paths {
    exact: HashMap<Arc<str>, Vec<usize>>,
    patterns: Vec<usize>,
    prefixes: HashMap<Arc<str>, Vec<usize>>,
    any: Vec<usize>,
}

impl RequestTable {
    /// A table of these rules.
    ///
    /// # Errors
    /// [`SameRules`].
    pub fn new(rules: Vec<RequestMatch>) -> Result<Self, SameRules> {
        for (second, rule) in rules.iter().enumerate() {
            if let Some(first) = rules.iter().take(second).position(|before| before == rule) {
                return Err(SameRules { first, second });
            }
        }
        let reads = |rule: &RequestMatch| rule.path.as_ref().is_some_and(PathMatch::restricts);
        let mut table = Self { reads_paths: rules.iter().any(reads), ..Self::default() };
        for (at, rule) in rules.iter().enumerate() {
            for host in &rule.hosts {
                let paths = match host.shape() {
                    Shape::Exact(name) => table.exact.entry(Arc::clone(name)).or_default(),
                    Shape::Below(name) => table.below.entry(Arc::clone(name)).or_default(),
                    Shape::Any => &mut table.any_host,
                };
                paths.add(at, rule);
            }
            if rule.hosts.is_empty() {
                table.no_host.add(at, rule);
            }
        }
        let of_hosts = table.exact.values_mut().chain(table.below.values_mut());
        of_hosts.chain([&mut table.any_host, &mut table.no_host]).for_each(|paths| paths.sort(&rules));
        table.rules = rules;
        Ok(table)
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rule in that place.
    #[must_use]
    pub fn rule(&self, at: usize) -> Option<&RequestMatch> {
        self.rules.get(at)
    }

    /// The place of the rule that a request takes; None where it takes none.
    ///
    /// # Errors
    /// [`SeveralReadings`] where some rule looks at paths, and that of the request has no one form.
    pub fn find(&self, facts: &RequestFacts<'_>) -> Result<Option<usize>, SeveralReadings> {
        let view = match PathView::new(facts.path) {
            Ok(view) => view,
            Err(error) if self.reads_paths => return Err(error),
            Err(_) => PathView::opaque(),
        };
        let Some(host) = facts.host.and_then(canonical) else {
            return Ok(self.no_host.find(&self.rules, facts, &view));
        };
        let exact = self.exact.get(&*host);
        let parents = host.match_indices('.').filter_map(|(dot, _)| self.below.get(host.get(dot + 1..)?));
        let mut all = exact.into_iter().chain(parents).chain([&self.any_host, &self.no_host]);
        Ok(all.find_map(|paths| paths.find(&self.rules, facts, &view)))
    }
}

impl Paths {
    fn add(&mut self, at: usize, rule: &RequestMatch) {
        match &rule.path {
            None => self.any.push(at),
            Some(PathMatch::Exact(path)) => self.exact.entry(Arc::clone(path)).or_default().push(at),
            Some(PathMatch::Prefix(path)) => self.prefixes.entry(Arc::clone(path)).or_default().push(at),
            Some(PathMatch::Pattern(_)) => self.patterns.push(at),
        }
    }

    fn sort(&mut self, rules: &[RequestMatch]) {
        let rank = |at: &usize| {
            let rule = rules.get(*at);
            let fixed = match rule.and_then(|rule| rule.path.as_ref()) {
                Some(PathMatch::Pattern(pattern)) => pattern.fixed(),
                Some(PathMatch::Exact(_) | PathMatch::Prefix(_)) | None => 0,
            };
            (std::cmp::Reverse((fixed, rule.map_or(0, RequestMatch::conditions))), *at)
        };
        let lists = self.exact.values_mut().chain(self.prefixes.values_mut());
        lists.chain([&mut self.patterns, &mut self.any]).for_each(|list| list.sort_by_key(rank));
    }

    fn find(&self, rules: &[RequestMatch], facts: &RequestFacts<'_>, view: &PathView<'_>) -> Option<usize> {
        let holds = |at: &&usize| rules.get(**at).is_some_and(|rule| rule.holds(facts));
        let first = |list: &[usize]| list.iter().find(holds).copied();
        let matches = |at: &&usize| match rules.get(**at).and_then(|rule| rule.path.as_ref()) {
            Some(PathMatch::Pattern(pattern)) => pattern.matches(view),
            Some(PathMatch::Exact(_) | PathMatch::Prefix(_)) | None => false,
        };
        view.path()
            .and_then(|path| self.exact.get(path))
            .and_then(|list| first(list))
            .or_else(|| self.patterns.iter().filter(matches).find(holds).copied())
            .or_else(|| view.prefixes().find_map(|prefix| first(self.prefixes.get(prefix)?)))
            .or_else(|| first(&self.any))
    }
}

#[cfg(test)]
mod tests;
