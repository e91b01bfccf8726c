//! Reading a file to the end, although serde stops at the first error.
//!
//! ```text
//! text ─► tree ─► serde ─► ConfigFile
//!          ▲        │ error
//!          └─ cut ◄─┘ explain ─► Finding
//! ```
//!
//! An error names the span of a key or a value; that entry is cut out of the tree and the rest is read again. A table
//! that lacks a key goes as a whole, after everything else in it has been looked at; if the key is lacking because it
//! was cut out, that is not reported again. The number of errors is bounded, and so is the work.
//!
//! Most files are good, and large ones are mostly routes. So that is tried first: each route is read by itself, without a tree
//! where that can be. With the first thing wrong anywhere the file is read as a whole, as if nothing had been tried.

use std::collections::HashSet;
use std::sync::Arc;

use proxy_upstream::Target;
use serde::Deserialize;
use toml::de::ValueDeserializer;

use super::document::{Depth, Document, ROUTES};
use super::events::Events;
use super::explain;
use super::file::{ActionFile, ConfigFile, RouteFile};
use super::finding::{Finding, MOST, Span};
use super::group::{ForwardFile, GroupName};
use super::pieces::{Piece, Pieces};
use super::type_mistakes::{self, Schemas};

/// What could be read of a file, and the tree that tells where it stands.
pub(super) struct Recovered<'t> {
    pub(super) file: ConfigFile,
    pub(super) document: Document<'t>,
}

/// Reads a file. `None` if nothing of it can be used, for a reason that `findings` then has.
pub(super) fn read<'t>(text: &'t str, findings: &mut Vec<Finding>) -> Option<Recovered<'t>> {
    in_pieces(&Pieces::of(text)).or_else(|| as_a_whole(text, findings))
}

/// Reads a file in which nothing is wrong, route by route. None where something is, or where it is not that simple.
fn in_pieces<'t>(pieces: &Pieces<'t>) -> Option<Recovered<'t>> {
    let document = Document::of_pieces(pieces)?;
    let schemas = Schemas::default();
    if !type_mistakes::find(&document, &schemas).is_empty() {
        return None;
    }
    let mut file: ConfigFile = document.read().ok()?;
    let mut routes = side_by_side(&pieces.routes);
    let (mut events, mut backends) = (Events::default(), Backends::default());
    for (route, (read, piece)) in routes.iter_mut().zip(&pieces.routes).enumerate() {
        if read.is_none() {
            let again = events.read::<RouteFile>(ROUTES, piece.text).ok();
            *read = again.or_else(|| from_tree(&document, route, &schemas));
        }
        backends.share(&mut read.as_mut()?.action);
    }
    file.routes = routes.into_iter().collect::<Option<_>>()?;
    Some(Recovered { file, document })
}

/// Routes that are worth a thread: with so many, reading them takes a hundred times as long as starting it.
const WORTH_A_THREAD: usize = 4096;

/// More threads than these bring little: what follows is done by one.
const MOST_THREADS: usize = 4;

/// What can be read of each without a tree, in their order; by several threads where there are many, and as many can be had.
fn side_by_side(pieces: &[Piece<'_>]) -> Vec<Option<RouteFile>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let each = pieces.len().div_ceil(threads).max(WORTH_A_THREAD);
    let mut routes: Vec<_> = std::iter::repeat_with(|| None).take(pieces.len()).collect();
    std::thread::scope(|scope| {
        let mut shares = pieces.chunks(each).zip(routes.chunks_mut(each));
        let own = shares.next();
        for (pieces, routes) in shares {
            let reader = std::thread::Builder::new().name("routes".to_owned());
            // A thread that cannot be had leaves its share as it is: to be read by whoever needs it.
            drop(reader.spawn_scoped(scope, move || read_each(pieces, routes)));
        }
        own.into_iter().for_each(|(pieces, routes)| read_each(pieces, routes));
    });
    routes
}

/// Reads each of them without a tree, if it can be.
fn read_each(pieces: &[Piece<'_>], routes: &mut [Option<RouteFile>]) {
    let (mut events, mut backends) = (Events::default(), Backends::default());
    for (piece, route) in pieces.iter().zip(routes) {
        *route = events.read::<RouteFile>(ROUTES, piece.text).ok();
        if let Some(read) = route {
            backends.share(&mut read.action);
        }
    }
}

/// Lists of backends and names of groups, each once: a large file has many routes to few of them.
#[derive(Default)]
struct Backends {
    lists: HashSet<Arc<[Target]>>,
    groups: HashSet<GroupName>,
}

impl Backends {
    /// Has the route take the list, or the name, of those before it, if theirs is the same. At once: what is freed right after it
    /// was allocated leaves no hole among what stays.
    fn share(&mut self, action: &mut ActionFile) {
        match action {
            ActionFile::Forward(ForwardFile::Targets(targets)) => known(&mut self.lists, targets),
            ActionFile::Forward(ForwardFile::Group(name)) => known(&mut self.groups, name),
            ActionFile::Refuse => {}
        }
    }
}

/// Takes the one that is known in place of one that is equal.
fn known<T: Clone + Eq + std::hash::Hash>(all: &mut HashSet<T>, one: &mut T) {
    match all.get(one) {
        Some(known) => *one = known.clone(),
        None => {
            all.insert(one.clone());
        }
    }
}

/// Reads a route that stands apart, if nothing is wrong with it.
fn from_tree(document: &Document<'_>, route: usize, schemas: &Schemas) -> Option<RouteFile> {
    let tree = document.apart(route)?;
    let fits = type_mistakes::in_route(tree, schemas).is_empty();
    fits.then(|| RouteFile::deserialize(ValueDeserializer::from(tree.clone())).ok()).flatten()
}

/// Reads a file, and tells everything that is wrong with it.
fn as_a_whole<'t>(text: &'t str, findings: &mut Vec<Finding>) -> Option<Recovered<'t>> {
    let mut document = match Document::parse(text) {
        Ok(document) => document,
        Err(errors) => {
            findings.extend(errors.iter().take(MOST + 1).map(|error| explain::syntax(error, text)));
            return None;
        }
    };
    for stray in type_mistakes::find(&document, &Schemas::default()).into_iter().take(MOST + 1) {
        document.cut(&stray.span, Depth::Outermost);
        findings.push(stray);
    }
    if findings.is_empty() {
        // Most files are good: those are read without a copy of the tree, which is made anew for the places in it.
        let file = document.read_once();
        document = Document::parse(text).ok()?;
        if let Ok(file) = file {
            return Some(Recovered { file, document });
        }
    }
    let mut last = None;
    while findings.len() <= MOST {
        let error = match document.read() {
            Ok(file) => return Some(Recovered { file, document }),
            Err(error) => error,
        };
        let again = last.as_ref() == Some(&error);
        if !again {
            findings.extend(explain::finding(&error, &document, text));
        }
        if !cut(&error, again, &mut document) {
            return None;
        }
        last = Some(error);
    }
    None
}

/// Takes what the error is about out of the document. Whether there was anything to take.
fn cut(error: &toml::de::Error, again: bool, document: &mut Document<'_>) -> bool {
    let Some(span) = error.span() else { return false };
    // The same error for a second time: what went was the first table of an array of tables, and not the array.
    let depth = if again { Depth::Outermost } else { Depth::Innermost };
    document.cut(&guilty(error, span, document), depth)
}

/// What is to go: a table whose only key is wrong goes with it, or the next error would be that it is empty.
fn guilty(error: &toml::de::Error, span: Span, document: &Document<'_>) -> Span {
    let of_variant = explain::is_unknown_variant(error.message());
    of_variant.then(|| document.table_of_key(&span)).flatten().unwrap_or(span)
}
