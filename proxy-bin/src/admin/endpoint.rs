//! An endpoint: what is asked by which method of which path, who answers, and how that is described.

use std::sync::Arc;

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::api::Api;

/// How a type is described.
type Described = fn(&mut SchemaGenerator) -> Schema;

fn described<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// What an endpoint answers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    Json(Described),
    /// Of this media type.
    Text(&'static str),
    /// Server-sent events of this name, with data like this.
    Events(&'static str, Described),
}

/// What an endpoint takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Body {
    pub(super) media: &'static str,
    pub(super) schema: Described,
}

/// What stands behind the question mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Query {
    /// Nothing.
    None,
    /// Which connections, in which order, and which page of them.
    List,
    /// Which connections, and what they are grouped by.
    Groups,
    /// The most of a list.
    Limit,
    /// How many proxies a connection came through.
    Behind,
    /// Texts, each with what it is.
    Texts(&'static [(&'static str, &'static str)]),
}

/// One method of one path.
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) about: &'static str,
    pub(super) handler: MethodRouter<Arc<Api>>,
    pub(super) answer: Answer,
    pub(super) body: Option<Body>,
    /// Which query it takes.
    pub(super) query: Query,
}

/// What `handler` answers to that method of that path; text, unless it is said to be something else.
pub(super) fn endpoint<H, T>(
    method: &'static str,
    path: &'static str,
    about: &'static str,
    handler: H,
) -> Endpoint
where
    H: Handler<T, Arc<Api>>,
    T: 'static,
{
    let filter = match method {
        "delete" => MethodFilter::DELETE,
        "post" => MethodFilter::POST,
        "put" => MethodFilter::PUT,
        _ => MethodFilter::GET,
    };
    let answer = Answer::Text("text/plain; charset=utf-8");
    Endpoint { method, path, about, handler: on(filter, handler), answer, body: None, query: Query::None }
}

impl Endpoint {
    pub(super) fn says<T: JsonSchema>(self) -> Self {
        Self { answer: Answer::Json(described::<T>), ..self }
    }

    pub(super) fn shows(self, media: &'static str) -> Self {
        Self { answer: Answer::Text(media), ..self }
    }

    pub(super) fn tells<T: JsonSchema>(self, event: &'static str) -> Self {
        Self { answer: Answer::Events(event, described::<T>), ..self }
    }

    pub(super) fn takes<T: JsonSchema>(self) -> Self {
        Self { body: Some(Body { media: "application/json", schema: described::<T> }), ..self }
    }

    pub(super) fn takes_text(self, media: &'static str) -> Self {
        Self { body: Some(Body { media, schema: described::<String> }), ..self }
    }

    pub(super) fn asked(self, query: Query) -> Self {
        Self { query, ..self }
    }
}
