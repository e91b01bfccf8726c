//! What is done with single requests.

use std::sync::Arc;

use proxy_http::hyper::HeaderMap;
use proxy_http::hyper::header::{HeaderName, HeaderValue};
use proxy_route::request::{PathMatch, PathView, RequestMatch, RequestTable, SameRules};

/// The rules of a route.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestRules {
    table: RequestTable,
    rules: Vec<RequestRule>,
}

/// What is done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRule {
    /// Where it goes.
    pub action: RequestAction,
    /// What it is asked for then, where that is something else.
    pub rewrite: Rewrite,
    /// What is changed about it.
    pub request_fields: FieldChanges,
    /// What is changed about the answer to it.
    pub response_fields: FieldChanges,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestAction {
    /// To the route's targets.
    Forward,
    /// To a member of the group of that name.
    Group(Arc<str>),
    /// Nowhere: its client is sent elsewhere.
    Redirect(Redirect),
    /// Nowhere: it is answered here.
    Answer(FixedAnswer),
    /// Nowhere: it is answered with 403.
    Deny,
}

/// Where a client is sent. What is not given stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// `http` or `https`.
    pub scheme: Option<&'static str>,
    /// The host, with a port where it has one.
    pub host: Option<Arc<str>>,
    /// The path.
    pub path: Option<PathRewrite>,
}

/// An answer of the proxy's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedAnswer {
    /// The status.
    pub status: u16,
    /// The kind of its body.
    pub content_type: HeaderValue,
    /// Its body.
    pub body: Arc<str>,
}

/// What a request is asked for instead.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rewrite {
    /// Another path.
    pub path: Option<PathRewrite>,
    /// Another host.
    pub host: Option<HeaderValue>,
}

/// Another path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathRewrite {
    /// This one in place of the prefix that the rule matches; what is behind it stays.
    Prefix(Arc<str>),
    /// This one, with what the rule's pattern has found.
    Whole(Template),
}

/// A path with places for what a pattern has found: `/people/{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Found(Box<str>),
}

/// Why a text is no [`Template`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// It is no path.
    #[error(
        "\"{0}\" is no path: begin with a slash, and write printable ASCII without spaces, \"?\" and \"#\""
    )]
    NoPath(String),
    /// A brace without its other one.
    #[error("\"{0}\" has a brace without its other one: write names of the pattern as \"{{name}}\"")]
    Brace(String),
}

impl std::str::FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let known = |byte: u8| byte.is_ascii_graphic() && !b"?#".contains(&byte);
        if !text.starts_with('/') || !text.bytes().all(known) {
            return Err(TemplateError::NoPath(text.to_owned()));
        }
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some((front, behind)) = rest.split_once('{') {
            let (name, behind) =
                behind.split_once('}').ok_or_else(|| TemplateError::Brace(text.to_owned()))?;
            pieces.extend([Piece::Text(front.into()), Piece::Found(name.into())]);
            rest = behind;
        }
        if rest.contains('}') {
            return Err(TemplateError::Brace(text.to_owned()));
        }
        pieces.push(Piece::Text(rest.into()));
        Ok(Self(pieces))
    }
}

impl Template {
    /// The names that a pattern has to find.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Found(name) => Some(&**name),
        })
    }

    fn filled(&self, found: &[(&str, &str)]) -> String {
        let of = |name: &str| found.iter().find(|(one, _)| *one == name).map_or("", |(_, value)| value);
        let texts = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::Found(name) => of(name),
        });
        texts.collect()
    }
}

/// Changes of the fields of a message, in this order: what is removed, what is set in the place of all values, what is added.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldChanges {
    /// Removed.
    pub remove: Vec<HeaderName>,
    /// Set in the place of all values.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Added to the values that there are.
    pub add: Vec<(HeaderName, HeaderValue)>,
}

impl FieldChanges {
    /// Makes them.
    pub(crate) fn apply(&self, fields: &mut HeaderMap) {
        for name in &self.remove {
            while fields.remove(name).is_some() {}
        }
        for (name, value) in &self.set {
            fields.insert(name.clone(), value.clone());
        }
        for (name, value) in &self.add {
            fields.append(name.clone(), value.clone());
        }
    }
}

impl RequestRules {
    /// These rules.
    ///
    /// # Errors
    /// [`SameRules`].
    pub fn new(rules: impl IntoIterator<Item = (RequestMatch, RequestRule)>) -> Result<Self, SameRules> {
        let (matches, rules): (Vec<_>, Vec<_>) = rules.into_iter().unzip();
        Ok(Self { table: RequestTable::new(matches)?, rules })
    }

    /// How requests find them.
    #[must_use]
    pub const fn table(&self) -> &RequestTable {
        &self.table
    }

    /// The rule in that place.
    #[must_use]
    pub fn rule(&self, at: usize) -> Option<&RequestRule> {
        self.rules.get(at)
    }

    /// The path that a rewrite makes of `path`, by what the rule in that place matches.
    pub(crate) fn rewritten(&self, at: usize, rewrite: &PathRewrite, path: &str) -> String {
        let matches = self.table.rule(at).and_then(|rule| rule.path.as_ref());
        match (rewrite, matches) {
            (PathRewrite::Prefix(to), Some(PathMatch::Prefix(from) | PathMatch::Exact(from))) => {
                // In the form in which it was compared, where the path as it came begins otherwise.
                let view = PathView::new(path).ok();
                let normal = view.as_ref().and_then(PathView::path).unwrap_or(path);
                let rest = path.strip_prefix(&**from).or_else(|| normal.strip_prefix(&**from));
                joined(to, rest.unwrap_or_default())
            }
            (PathRewrite::Prefix(to), Some(PathMatch::Pattern(_)) | None) => joined(to, path),
            (PathRewrite::Whole(template), Some(PathMatch::Pattern(pattern))) => {
                let view = PathView::new(path).ok();
                let found = view.as_ref().and_then(|view| pattern.captures(view)).unwrap_or_default();
                template.filled(&found)
            }
            (PathRewrite::Whole(template), _) => template.filled(&[]),
        }
    }
}

/// One path behind another, with one slash between them.
fn joined(front: &str, rest: &str) -> String {
    match (front.strip_suffix('/'), rest.strip_prefix('/')) {
        (Some(front), Some(rest)) => format!("{front}/{rest}"),
        (None, None) if !rest.is_empty() => format!("{front}/{rest}"),
        (_, _) => format!("{front}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(matches: PathMatch, rewrite: &PathRewrite, path: &str) -> String {
        let rule = RequestRule {
            action: RequestAction::Forward,
            rewrite: Rewrite::default(),
            request_fields: FieldChanges::default(),
            response_fields: FieldChanges::default(),
        };
        let matches = RequestMatch { path: Some(matches), ..RequestMatch::default() };
        RequestRules::new([(matches, rule)]).unwrap().rewritten(0, rewrite, path)
    }

    #[test]
    fn a_prefix_gives_way_and_what_is_behind_it_stays() {
        let at = |from: &str, to: &str, path: &str| {
            rewritten(PathMatch::prefix(from).unwrap(), &PathRewrite::Prefix(to.into()), path)
        };
        assert_eq!(at("/api", "/", "/api/x%20y"), "/x%20y");
        assert_eq!(at("/api", "/", "/api"), "/");
        assert_eq!(at("/api/", "/v2", "/api/x"), "/v2/x");
        assert_eq!(at("/api", "/v2/", "/%61pi/x"), "/v2/x");
        assert_eq!(at("/", "/all", "/x"), "/all/x");
    }

    #[test]
    fn what_a_pattern_has_found_goes_where_the_template_says() {
        let pattern = PathMatch::Pattern("/u/{id}/{rest*}".parse().unwrap());
        let template: Template = "/people/{id}/of/{rest}".parse().unwrap();
        assert_eq!(template.names().collect::<Vec<_>>(), ["id", "rest"]);
        assert_eq!(rewritten(pattern, &PathRewrite::Whole(template), "/u/7/a/b"), "/people/7/of/a/b");
        for wrong in ["people", "/a?b", "/{a", "/a}", "/a b"] {
            assert!(wrong.parse::<Template>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn fields_are_removed_then_set_then_added() {
        let mut fields = HeaderMap::new();
        let (name, value) = (|name| HeaderName::from_static(name), |value| HeaderValue::from_static(value));
        fields.append("x-a", value("1"));
        fields.append("x-a", value("2"));
        fields.append("x-b", value("1"));
        let changes = FieldChanges {
            remove: vec![name("x-a")],
            set: vec![(name("x-b"), value("3"))],
            add: vec![(name("x-b"), value("4")), (name("x-a"), value("5"))],
        };
        changes.apply(&mut fields);
        let all: Vec<_> =
            fields.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(all.len(), 3);
        assert!(all.contains(&("x-b", "3")) && all.contains(&("x-b", "4")) && all.contains(&("x-a", "5")));
    }
}
