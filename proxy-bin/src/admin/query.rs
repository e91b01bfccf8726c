//! What stands behind the question mark: each key once, each known, and what is wrong is said.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use proxy_conn::ConnId;

use crate::admin::problem::Problem;

/// The keys and values of a query, each key once.
#[derive(Debug, Default)]
pub(super) struct Pairs(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Pairs {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|error| Problem::bad_request(error.body_text()))?;
        Self::new(pairs)
    }
}

impl Pairs {
    pub(super) fn new(pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        let twice =
            pairs.iter().enumerate().find(|(at, (key, _))| pairs.iter().take(*at).any(|(k, _)| k == key));
        match twice {
            Some((_, (key, _))) => Err(Problem::bad_request(format!("`{key}` is given twice"))),
            None => Ok(Self(pairs)),
        }
    }

    /// The value of `key`, which is not there any more.
    pub(super) fn take(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|(k, _)| k == key)?;
        Some(self.0.swap_remove(at).1)
    }

    /// The value of `key`, read; `expected` says what it should be.
    pub(super) fn parsed<T: FromStr>(
        &mut self,
        key: &str,
        expected: impl Display,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.take(key) else { return Ok(None) };
        let wrong = || Problem::bad_request(format!("`{key}` is \"{text}\", expected {expected}"));
        text.parse().map(Some).map_err(|_| wrong())
    }

    /// Refuses what nobody has taken.
    pub(super) fn done(self, known: &[&str]) -> Result<(), Problem> {
        match self.0.first() {
            None => Ok(()),
            Some((key, _)) => {
                let known =
                    if known.is_empty() { "there are none here".to_owned() } else { known.join(", ") };
                Err(Problem::bad_request(format!("`{key}` is no parameter that is known here: {known}")))
            }
        }
    }
}

/// The id in a path.
pub(super) struct Id(pub(super) ConnId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::bad_request(error.body_text()))?;
        text.parse()
            .map(Self)
            .map_err(|error: proxy_conn::ConnIdError| Problem::bad_request(error.to_string()))
    }
}
