//! What is done with single requests, as it is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use proxy_dataplane::settings::{
    FixedAnswer, PathRewrite, Redirect, RequestAction, RequestRule, RequestRules, Rewrite, Template,
};
use proxy_http::hyper::header::HeaderValue;
use proxy_route::DomainPattern;
use proxy_route::request::{FieldIs, FieldMatch, PathMatch, PathPattern, RequestMatch};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::document::Place;
use super::super::finding::Finding;
use super::super::group::NoGroup;
use super::fields::{ChangesFile, FieldName, FieldValue};

/// What is done with some of a route's requests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RuleFile {
    /// Which requests; without it, all. Of several rules that match, the one of the more specific host is taken, then of the more
    /// specific path, then of more other conditions, then the first.
    #[serde(rename = "match")]
    matches: MatchFile,
    /// They are taken to a member of this group, `"@NAME"`, in place of the route's targets.
    forward: Option<GroupRef>,
    /// Their clients are sent elsewhere.
    redirect: Option<RedirectFile>,
    /// They are answered here.
    answer: Option<AnswerFile>,
    /// They are answered with 403. Default false.
    deny: bool,
    /// What they are asked for at the backend, where that is something else.
    rewrite: RewriteFile,
    /// What is changed about the fields of a request, after those of the route.
    request_headers: ChangesFile,
    /// What is changed about the fields of an answer, after those of the route.
    response_headers: ChangesFile,
}

/// Which requests a rule takes: all of it has to hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct MatchFile {
    /// Of these hosts, one: `"api.example.com"`, `"*.example.com"` or `"*"`, without a port.
    hosts: Vec<DomainPattern>,
    /// This path and no other.
    path: Option<ExactFile>,
    /// This path and all below it, by whole segments: `"/api"` takes `/api` and `/api/x`, and not `/apix`.
    path_prefix: Option<PrefixFile>,
    /// Paths of this form, such as `"/users/{id}/posts/{rest*}"`: `{id}` and `*` stand for one segment, `{rest*}` for all that is left.
    path_pattern: Option<PatternFile>,
    /// Of these methods, one.
    methods: Vec<Method>,
    /// All of these fields: `{ x-version = "2" }`, one value of it is that; `true`, it is there; `false`, it is not.
    headers: BTreeMap<FieldName, IsFile>,
    /// All of these parameters of the query, likewise.
    query: BTreeMap<String, IsFile>,
    /// The service of a gRPC call, such as `"helloworld.Greeter"`.
    grpc_service: Option<String>,
}

/// What a field or a parameter has to be: a value, or whether it is there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
enum IsFile {
    There(bool),
    Value(String),
}

/// Where clients are sent. What is not given stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RedirectFile {
    /// 301, 302, 303, 307 or 308. Default 308, behind which a client asks in the same way, its body too.
    status: RedirectStatus,
    /// `"https"` or `"http"`. With it, the port is the one of that scheme.
    scheme: Option<Scheme>,
    /// The host, with a port where it has one.
    host: Option<FieldValue>,
    /// The path, with what the pattern has found: `"/people/{id}"`.
    path: Option<TemplateFile>,
    /// In place of the prefix that the rule matches; what is behind it stays.
    path_prefix: Option<PrefixFile>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "u16")]
struct RedirectStatus(#[schemars(range(min = 301, max = 308))] u16);

impl Default for RedirectStatus {
    fn default() -> Self {
        Self(308)
    }
}

impl TryFrom<u16> for RedirectStatus {
    type Error = String;

    fn try_from(status: u16) -> Result<Self, String> {
        match status {
            301 | 302 | 303 | 307 | 308 => Ok(Self(status)),
            other => Err(format!("expected 301, 302, 303, 307 or 308, found {other}")),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Scheme {
    Http,
    Https,
}

/// An answer of the proxy's own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct AnswerFile {
    /// The status, from 200 to 599. Default 200.
    status: AnswerStatus,
    /// Its body. Default: none.
    body: String,
    /// The kind of its body. Default `"text/plain; charset=utf-8"`.
    content_type: Option<FieldValue>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "u16")]
struct AnswerStatus(#[schemars(range(min = 200, max = 599))] u16);

impl Default for AnswerStatus {
    fn default() -> Self {
        Self(200)
    }
}

impl TryFrom<u16> for AnswerStatus {
    type Error = String;

    fn try_from(status: u16) -> Result<Self, String> {
        let fits = (200..600).contains(&status);
        if fits {
            Ok(Self(status))
        } else {
            Err(format!("expected a status from 200 to 599, found {status}"))
        }
    }
}

/// What a request is asked for at the backend.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RewriteFile {
    /// Another path, with what the pattern has found: `"/people/{id}"`.
    path: Option<TemplateFile>,
    /// In place of the prefix that the rule matches; what is behind it stays.
    path_prefix: Option<PrefixFile>,
    /// Another host.
    host: Option<FieldValue>,
}

macro_rules! written {
    ($(#[$meta:meta])* $name:ident($value:ty) = $read:expr) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
        #[serde(try_from = "String")]
        struct $name(#[schemars(with = "String")] $value);

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let read: fn(&str) -> Result<$value, String> = $read;
                read(&text).map(Self)
            }
        }
    };
}

written!(
    /// A path.
    ExactFile(PathMatch) = |text| PathMatch::exact(text).map_err(|error| error.to_string())
);
written!(
    /// A path, and all below it.
    PrefixFile(PathMatch) = |text| PathMatch::prefix(text).map_err(|error| error.to_string())
);
written!(
    /// The form of paths.
    PatternFile(PathPattern) = |text| text.parse().map_err(|error: proxy_route::request::PathError| error.to_string())
);
written!(
    /// A path with places for what a pattern has found.
    TemplateFile(Template) = |text| text.parse().map_err(|error: proxy_dataplane::settings::TemplateError| error.to_string())
);
written!(
    /// A method, such as `"GET"`.
    Method(String) = |text| {
        let known = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
        if !text.is_empty() && text.bytes().all(known) {
            return Ok(text.to_owned());
        }
        Err(format!("\"{text}\" is no method: write it in capitals, such as \"GET\""))
    }
);
written!(
    /// A group, `"@NAME"`.
    GroupRef(super::super::group::GroupName) = |text| {
        let name = text.strip_prefix('@').ok_or_else(|| {
            format!("\"{text}\" is no group: make one of the targets, [groups.NAME], and write \"@NAME\"")
        })?;
        name.parse().map_err(|error: super::super::group::GroupNameError| error.to_string())
    }
);

impl IsFile {
    fn resolved(&self) -> FieldIs {
        match self {
            Self::There(true) => FieldIs::Present,
            Self::There(false) => FieldIs::Absent,
            Self::Value(value) => FieldIs::Exact(value.clone()),
        }
    }
}

impl MatchFile {
    fn resolved(&self) -> RequestMatch {
        let path = self.path.as_ref().map(|ExactFile(path)| path.clone());
        let prefix = || self.path_prefix.as_ref().map(|PrefixFile(path)| path.clone());
        let pattern =
            || self.path_pattern.as_ref().map(|PatternFile(pattern)| PathMatch::Pattern(pattern.clone()));
        let field = |name: &str, is: &IsFile| FieldMatch { name: name.to_owned(), is: is.resolved() };
        RequestMatch {
            hosts: self.hosts.clone(),
            path: path.or_else(prefix).or_else(pattern),
            methods: self.methods.iter().map(|Method(method)| method.clone()).collect(),
            fields: self.headers.iter().map(|(name, is)| field(name.as_str(), is)).collect(),
            query: self.query.iter().map(|(name, is)| field(name, is)).collect(),
            grpc_service: self.grpc_service.clone(),
        }
    }
}

/// The path that is written in one of two ways.
fn path_rewrite(whole: Option<&TemplateFile>, prefix: Option<&PrefixFile>) -> Option<PathRewrite> {
    let prefix = prefix.and_then(|PrefixFile(prefix)| match prefix {
        PathMatch::Prefix(path) | PathMatch::Exact(path) => Some(PathRewrite::Prefix(Arc::clone(path))),
        PathMatch::Pattern(_) => None,
    });
    whole.map(|TemplateFile(template)| PathRewrite::Whole(template.clone())).or(prefix)
}

impl RuleFile {
    fn resolved(&self) -> RequestRule {
        let action = if let Some(GroupRef(name)) = &self.forward {
            RequestAction::Group(name.shared())
        } else if let Some(redirect) = &self.redirect {
            RequestAction::Redirect(Redirect {
                status: redirect.status.0,
                scheme: redirect.scheme.map(|scheme| match scheme {
                    Scheme::Http => "http",
                    Scheme::Https => "https",
                }),
                host: redirect.host.as_ref().map(|host| host.text().into()),
                path: path_rewrite(redirect.path.as_ref(), redirect.path_prefix.as_ref()),
            })
        } else if let Some(answer) = &self.answer {
            let kind = answer.content_type.as_ref().map(FieldValue::value);
            RequestAction::Answer(FixedAnswer {
                status: answer.status.0,
                content_type: kind.unwrap_or(HeaderValue::from_static("text/plain; charset=utf-8")),
                body: answer.body.as_str().into(),
            })
        } else if self.deny {
            RequestAction::Deny
        } else {
            RequestAction::Forward
        };
        RequestRule {
            action,
            rewrite: Rewrite {
                path: path_rewrite(self.rewrite.path.as_ref(), self.rewrite.path_prefix.as_ref()),
                host: self.rewrite.host.as_ref().map(FieldValue::value),
            },
            request_fields: self.request_headers.resolved(),
            response_fields: self.response_headers.resolved(),
        }
    }

    /// The group that it takes requests to.
    pub(super) fn group(&self) -> Option<&super::super::group::GroupName> {
        self.forward.as_ref().map(|GroupRef(name)| name)
    }
}

/// What the rules come to. Two that say the same are found by [`check`].
pub(super) fn resolved(rules: &[RuleFile]) -> RequestRules {
    RequestRules::new(rules.iter().map(|rule| (rule.matches.resolved(), rule.resolved()))).unwrap_or_default()
}

/// What is wrong with the rules that are written at `place`.
pub(super) fn check(rules: &[RuleFile], place: &Place<'_, '_>, findings: &mut Vec<Finding>) {
    for (at, rule) in rules.iter().enumerate() {
        let place = place.index(at);
        one_of(&place, &["forward", "redirect", "answer", "deny"], findings);
        one_of(&place.key("match"), &["path", "path_prefix", "path_pattern"], findings);
        for key in ["rewrite", "redirect"] {
            one_of(&place.key(key), &["path", "path_prefix"], findings);
        }
        let found: Vec<String> = match &rule.matches.path_pattern {
            Some(PatternFile(pattern)) => pattern.names().map(str::to_owned).collect(),
            None => Vec::new(),
        };
        let of = |key: &'static str| place.key(key).key("path");
        let redirect = rule.redirect.as_ref().and_then(|redirect| redirect.path.as_ref());
        for (template, place) in [(rule.rewrite.path.as_ref(), of("rewrite")), (redirect, of("redirect"))] {
            let names = template.into_iter().flat_map(|TemplateFile(template)| template.names());
            for name in names.filter(|name| !found.iter().any(|one| one == name)) {
                let title = format!("nothing is found for \"{{{name}}}\"");
                let help = "name it in `path_pattern` of the rule's match";
                findings.push(Finding::new(place.span(), title).help(help));
            }
        }
        rule.request_headers.check(&place.key("request_headers"), findings);
        rule.response_headers.check(&place.key("response_headers"), findings);
    }
    let matches = rules.iter().map(|rule| rule.matches.resolved()).collect();
    if let Err(same) = proxy_route::request::RequestTable::new(matches) {
        findings.push(
            Finding::new(place.index(same.second).span(), "two rules take the same requests")
                .label("this one is never taken")
                .beside(place.index(same.first).span(), "the other one is here")
                .help("remove one of them, or let them differ in what they match"),
        );
    }
}

/// That the groups are there that rules take requests to.
pub(super) fn check_groups(
    rules: &[RuleFile],
    place: &Place<'_, '_>,
    groups: NoGroup<'_>,
    findings: &mut Vec<Finding>,
) {
    for (at, rule) in rules.iter().enumerate() {
        if let Some(name) = rule.group() {
            findings.extend(groups(name, &place.index(at).key("forward")));
        }
    }
}

/// That no more than one of these keys is there.
fn one_of(place: &Place<'_, '_>, keys: &[&'static str], findings: &mut Vec<Finding>) {
    let mut there = keys.iter().filter(|key| place.key(key).exists());
    if let (Some(first), Some(second)) = (there.next(), there.next()) {
        findings.push(
            Finding::new(place.key(second).span(), format!("`{first}` and `{second}` exclude each other"))
                .beside(place.key(first).span(), "the other one is here")
                .help("take one of them out"),
        );
    }
}
