//! What a route does that is served by requests.

mod rule;

use std::sync::Arc;

use proxy_http::{KeepOptions, Options};

pub use rule::{
    FieldChanges, FixedAnswer, PathRewrite, Redirect, RequestAction, RequestRule, RequestRules, Rewrite,
    Template, TemplateError,
};

/// A route whose clients speak HTTP: each request is taken to a backend by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpRoute {
    /// Deadlines and limits of its clients' conversations.
    pub options: Options,
    /// How long connections to its backends are kept.
    pub keep: KeepOptions,
    /// What this proxy calls itself in `Via`.
    pub via: Arc<str>,
    /// Whether what a client says of where it comes from (`Forwarded`, `X-Forwarded-*`, the id of the request) is believed, too; that of
    /// hops before always is.
    pub trust_forwarded: bool,
    /// What is changed about every request that is forwarded.
    pub request_fields: FieldChanges,
    /// What is changed about every answer of a backend.
    pub response_fields: FieldChanges,
    /// What is done with which requests; those that no rule takes are forwarded to the route's targets.
    pub rules: RequestRules,
}

impl Default for HttpRoute {
    fn default() -> Self {
        Self {
            options: Options::default(),
            keep: KeepOptions::default(),
            via: "smartproxy".into(),
            trust_forwarded: false,
            request_fields: FieldChanges::default(),
            response_fields: FieldChanges::default(),
            rules: RequestRules::default(),
        }
    }
}
