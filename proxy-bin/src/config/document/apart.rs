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

#[cfg(test)]
impl Document<'_> {
    /// Routes of which somebody has asked where something stands.
    fn trees(&self) -> usize {
        self.apart.iter().filter(|route| route.node.get().is_some()).count()
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

#[cfg(test)]
mod tests {
    use crate::config::finding::Source;
    use crate::config::origin::Origin;
    use crate::config::recover::{self, Recovered};
    use crate::config::resolve;

    /// The trees that reading a file takes, and how many things are wrong with it.
    fn read(text: &str) -> (usize, usize) {
        let origin = Origin::new("test.toml", text);
        let (source, mut errors) = (Source::of(&origin), Vec::new());
        let Recovered { file, document } = recover::read(&source.text, &mut errors).unwrap();
        let config = resolve(file, &document, (&source, origin), &std::sync::Arc::default(), &mut errors);
        let warnings = config.map_or(0, |config| config.warnings.len());
        (document.trees(), errors.len() + warnings)
    }

    /// Three routes in which everything is set that a route may have.
    fn routes(port: u16) -> String {
        let route = |n: u16| {
            format!(
                "[[routes]]\nname = \"{n}\"\nmatch = {{ ports = [{port}], domains = [\"{n}.example\"] }}\n\
                 action = {{ forward = [\"10.0.0.1:{n}\"] }}\nsend_proxy = \"v2\"\nnext_hop = \"smartproxy\"\n\
                 proxy_v2 = {{ crc32c = true }}\nmax_connections = 10\nmax_connections_per_target = 5\n\
                 at_limit = \"close\"\nbreaker = {{ cool_down = \"2s\" }}\ntimeouts = {{ inactivity_timeout = \"9m\" }}\n\
                 keep_alive = {{ idle = \"9s\" }}\n"
            )
        };
        [1, 2, 3].map(route).concat()
    }

    #[test]
    fn routes_with_which_nothing_is_wrong_become_no_trees() {
        let file = format!("[limits]\nmax_connections = 100\n{}", routes(8000));
        assert_eq!(read(&file), (0, 0));
    }

    #[test]
    fn where_something_is_wrong_its_routes_alone_become_trees() {
        let clash = format!(
            "{}[[routes]]\nname = \"2\"\nmatch = {{ ports = [81] }}\naction = \"refuse\"\n",
            routes(80)
        );
        assert_eq!(read(&clash), (2, 1));
        let above = format!("[limits]\nmax_connections = 7\n{}", routes(80).replacen("= 10", "= 6", 2));
        assert_eq!(read(&above), (1, 1));
    }
}
