//! Routes that stand apart from the tree.

use std::cell::OnceCell;
use std::collections::HashSet;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::{Document, Node, ROUTES};
use crate::config::finding::Span;
use crate::config::pieces::{Piece, Pieces};

/// The text of one route, and its tree from when somebody has asked for it.
#[derive(Debug)]
pub(super) struct Apart<'t> {
    piece: Piece<'t>,
    node: OnceCell<Option<Box<Node<'t>>>>,
}

impl<'t> Apart<'t> {
    /// The tree. None where the text is none by itself, or not one route.
    pub(super) fn node(&self) -> Option<&Node<'t>> {
        self.node.get_or_init(|| route(self.piece).map(Box::new)).as_ref().map(|node| &**node)
    }
}

impl<'t> Document<'t> {
    /// The tree of a text that is in pieces. None where what is not routes is no good, or where it makes a difference that it is
    /// not read in one.
    pub(in crate::config) fn of_pieces(pieces: &Pieces<'t>) -> Option<Self> {
        let mut root = DeTable::new();
        for piece in &pieces.rest {
            for (key, value) in table(*piece)? {
                // A table that goes on in another piece, or routes that are written in another way.
                if key.get_ref() == ROUTES || root.insert(key, value).is_some() {
                    return None;
                }
            }
        }
        let apart = pieces.routes.iter().map(|piece| Apart { piece: *piece, node: OnceCell::new() });
        let root = Spanned::new(0..0, DeValue::Table(root));
        Some(Self { root, apart: apart.collect(), wounds: HashSet::new(), lost: HashSet::new() })
    }

    /// The tree of a route that stands apart.
    pub(in crate::config) fn apart(&self, route: usize) -> Option<&Node<'t>> {
        self.apart.get(route)?.node()
    }
}

/// The one route of a piece.
fn route(piece: Piece<'_>) -> Option<Node<'_>> {
    let mut all = table(piece)?;
    let (_, routes) = all.remove_entry(ROUTES)?;
    let DeValue::Array(routes) = routes.into_inner() else { return None };
    let mut routes = routes.into_iter();
    let route = routes.next()?;
    (all.is_empty() && routes.next().is_none()).then_some(route)
}

/// What a piece says, where it says it in the whole text.
fn table(piece: Piece<'_>) -> Option<DeTable<'_>> {
    let table = DeTable::parse(piece.text).ok()?.into_inner();
    Some(if piece.at == 0 { table } else { further(table, piece.at) })
}

fn further(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    let place = |span: Span| span.start + by..span.end + by;
    let entries = table.into_iter();
    entries
        .map(|(key, value)| (Spanned::new(place(key.span()), key.into_inner()), value_further(value, by)))
        .collect()
}

fn value_further(node: Node<'_>, by: usize) -> Node<'_> {
    let span = node.span();
    let value = match node.into_inner() {
        DeValue::Table(table) => DeValue::Table(further(table, by)),
        DeValue::Array(list) => {
            DeValue::Array(list.into_iter().map(|entry| value_further(entry, by)).collect::<DeArray<'_>>())
        }
        value @ (DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)) => value,
    };
    Spanned::new(span.start + by..span.end + by, value)
}
