//! The file as a tree that knows where each value stands, and from which parts can be cut.
//!
//! A large file is nearly all routes, and nobody asks where those stand with which nothing is wrong: they may stand apart, as texts
//! that become trees when somebody asks. Nothing is cut from a file that is read so.
//!
//! Serde stops at the first error. So what is wrong is cut out and the rest is read again; the tree remembers the
//! wounds, lest the absence of what was cut is held against the file.

mod apart;

use std::collections::HashSet;

use serde::Deserialize;
use smallvec::SmallVec;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};

use apart::Apart;

use super::finding::Span;

/// A value, and where it stands.
type Node<'t> = Spanned<DeValue<'t>>;

/// What the routes are called in the file.
pub(super) const ROUTES: &str = "routes";

/// A parsed file.
#[derive(Debug)]
pub(super) struct Document<'t> {
    root: Node<'t>,
    /// The routes, where they are not in the tree.
    apart: Vec<Apart<'t>>,
    /// What lost something, itself or further down.
    wounds: HashSet<Identity>,
    /// The keys that tables lost.
    lost: HashSet<(Identity, String)>,
}

/// Which node of the tree: an array of tables and its first table have the same span.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Identity {
    span: Span,
    array: bool,
}

impl Identity {
    fn of(node: &Spanned<DeValue<'_>>) -> Self {
        Self { span: node.span(), array: node.get_ref().is_array() }
    }
}

/// Which of the nodes that have one span is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// The one furthest down: a table of an array of tables.
    Innermost,
    /// The one furthest up: the array of tables.
    Outermost,
}

impl<'t> Document<'t> {
    /// The tree of a text, or all of its syntax errors.
    pub(super) fn parse(text: &'t str) -> Result<Self, Vec<toml::de::Error>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return Err(errors);
        }
        let root = Spanned::new(table.span(), DeValue::Table(table.into_inner()));
        Ok(Self { root, apart: Vec::new(), wounds: HashSet::new(), lost: HashSet::new() })
    }

    /// Reads what the tree holds, which goes as it is read: a tree takes several times as much memory as its text.
    pub(super) fn read_once<T: Deserialize<'t>>(self) -> Result<T, toml::de::Error> {
        T::deserialize(ValueDeserializer::from(self.root))
    }

    /// Reads what the tree holds now.
    pub(super) fn read<T: Deserialize<'t>>(&self) -> Result<T, toml::de::Error> {
        T::deserialize(ValueDeserializer::from(self.root.clone()))
    }

    /// The whole file.
    pub(super) fn root(&self) -> Place<'_, 't> {
        Place { document: self, at: At::Found { node: Some(&self.root), span: 0..0 } }
    }

    /// Whether the routes stand apart.
    pub(super) fn is_in_pieces(&self) -> bool {
        !self.apart.is_empty()
    }

    /// Whether something was cut out anywhere.
    pub(super) fn is_wounded(&self) -> bool {
        !self.wounds.is_empty()
    }

    /// The keys that the table at this place once had.
    pub(super) fn lost(&self, table: &Span) -> impl Iterator<Item = &str> {
        let lost = self.lost.iter().filter(move |(identity, _)| !identity.array && identity.span == *table);
        lost.map(|(_, key)| &**key)
    }

    /// Whether the table or the array at this place had something in it, of which nothing is left.
    pub(super) fn is_emptied(&self, place: &Span) -> bool {
        fn find(node: &Spanned<DeValue<'_>>, place: &Span, wounds: &HashSet<Identity>) -> bool {
            let table = node.get_ref().as_table().is_some_and(toml::map::Map::is_empty);
            let array = node.get_ref().as_array().is_some_and(|array| array.is_empty());
            let is_it = (table || array) && node.span() == *place && wounds.contains(&Identity::of(node));
            is_it || children(node).any(|child| find(child, place, wounds))
        }
        self.is_wounded() && find(&self.root, place, &self.wounds)
    }

    /// The span of the table of which this is the span of a key.
    pub(super) fn table_of_key(&self, key: &Span) -> Option<Span> {
        fn find(node: &Spanned<DeValue<'_>>, key: &Span) -> Option<Span> {
            let here = node.get_ref().as_table().is_some_and(|table| table.keys().any(|k| k.span() == *key));
            if here { Some(node.span()) } else { children(node).find_map(|child| find(child, key)) }
        }
        find(&self.root, key)
    }

    /// The keys that lead to the table of which this is the span of a key; lists add none.
    pub(super) fn path_to_key(&self, key: &Span) -> Vec<&str> {
        fn find<'n>(node: &'n Spanned<DeValue<'_>>, key: &Span, path: &mut Vec<&'n str>) -> bool {
            let table = node.get_ref().as_table();
            if table.is_some_and(|table| table.keys().any(|k| k.span() == *key)) {
                return true;
            }
            for (name, value) in table.into_iter().flatten() {
                path.push(name.get_ref());
                if find(value, key, path) {
                    return true;
                }
                path.pop();
            }
            node.get_ref().as_array().is_some_and(|list| list.iter().any(|entry| find(entry, key, path)))
        }
        let mut path = Vec::new();
        find(&self.root, key, &mut path);
        path
    }

    /// The tree as it is now.
    pub(super) fn tree(&self) -> &Spanned<DeValue<'t>> {
        &self.root
    }

    /// Cuts out the entry of which this is the span of the key or of the value. Whether there was one.
    pub(super) fn cut(&mut self, span: &Span, depth: Depth) -> bool {
        let Self { root, wounds, lost, .. } = self;
        Knife { span, depth, wounds, lost }.cut_below(root)
    }
}

/// The values in a table or an array.
pub(super) fn children<'n, 't>(
    node: &'n Spanned<DeValue<'t>>,
) -> impl Iterator<Item = &'n Spanned<DeValue<'t>>> {
    let table = node.get_ref().as_table().into_iter().flat_map(|table| table.values());
    let array = node.get_ref().as_array().into_iter().flat_map(|array| array.iter());
    table.chain(array)
}

/// One cut.
struct Knife<'a> {
    span: &'a Span,
    depth: Depth,
    wounds: &'a mut HashSet<Identity>,
    lost: &'a mut HashSet<(Identity, String)>,
}

impl Knife<'_> {
    fn cut_below(&mut self, node: &mut Spanned<DeValue<'_>>) -> bool {
        let identity = Identity::of(node);
        let innermost = self.depth == Depth::Innermost;
        let done = (innermost && self.cut_deeper(node))
            || self.cut_here(node, &identity)
            || (!innermost && self.cut_deeper(node));
        if done {
            self.wounds.insert(identity);
        }
        done
    }

    fn cut_deeper(&mut self, node: &mut Spanned<DeValue<'_>>) -> bool {
        #[expect(clippy::wildcard_enum_match_arm, reason = "only these two kinds have something below")]
        match node.get_mut() {
            DeValue::Table(table) => table.iter_mut().any(|(_, value)| self.cut_below(value)),
            DeValue::Array(array) => array.iter_mut().any(|value| self.cut_below(value)),
            _ => false,
        }
    }

    fn cut_here(&mut self, node: &mut Spanned<DeValue<'_>>, identity: &Identity) -> bool {
        #[expect(clippy::wildcard_enum_match_arm, reason = "only these two kinds have something below")]
        match node.get_mut() {
            DeValue::Table(table) => {
                let mut entries = table.iter();
                let found = entries.find(|(key, value)| [key.span(), value.span()].contains(self.span));
                let Some(key) = found.map(|(key, _)| key.clone()) else { return false };
                self.lost.insert((identity.clone(), key.get_ref().to_string()));
                table.remove(&key).is_some()
            }
            DeValue::Array(array) => {
                let before = array.len();
                let kept = std::mem::replace(array, DeArray::new())
                    .into_iter()
                    .filter(|value| value.span() != *self.span);
                *array = kept.collect::<DeArray<'_>>();
                array.len() < before
            }
            _ => false,
        }
    }
}

/// A value in the tree; where the file does not have it, the place of the nearest value around it.
#[derive(Clone)]
pub(super) struct Place<'d, 't> {
    document: &'d Document<'t>,
    at: At<'d, 't>,
}

#[derive(Clone)]
enum At<'d, 't> {
    /// A value, if there is one, and where it is or would be.
    Found { node: Option<&'d Node<'t>>, span: Span },
    /// All routes that stand apart.
    Routes,
    /// Something in one of them, which is looked for when somebody asks where it is.
    InRoute { route: usize, steps: SmallVec<[Step; 4]> },
}

#[derive(Clone, Copy)]
enum Step {
    Key(&'static str),
    Index(usize),
}

impl<'d, 't> Place<'d, 't> {
    /// The value of this key.
    pub(super) fn key(&self, key: &'static str) -> Self {
        match &self.at {
            At::InRoute { route, steps } => self.in_route(*route, steps, Step::Key(key)),
            At::Found { node: Some(node), .. }
                if key == ROUTES
                    && std::ptr::eq(*node, &self.document.root)
                    && !self.document.apart.is_empty() =>
            {
                Self { document: self.document, at: At::Routes }
            }
            At::Found { .. } | At::Routes => self.named(key),
        }
    }

    /// The same for a key that the file's author has chosen.
    pub(super) fn named(&self, key: &str) -> Self {
        let (node, span) = self.found();
        self.below(span, node.and_then(|node| node.get_ref().as_table()).and_then(|table| table.get(key)))
    }

    /// The value at this position.
    pub(super) fn index(&self, index: usize) -> Self {
        match &self.at {
            At::InRoute { route, steps } => self.in_route(*route, steps, Step::Index(index)),
            At::Routes if index < self.document.apart.len() => {
                Self { document: self.document, at: At::InRoute { route: index, steps: SmallVec::new() } }
            }
            At::Found { .. } | At::Routes => {
                let (node, span) = self.found();
                let list = node.and_then(|node| node.get_ref().as_array());
                self.below(span, list.and_then(|list| list.get(index)))
            }
        }
    }

    fn below(&self, around: Span, node: Option<&'d Node<'t>>) -> Self {
        let span = node.map_or(around, Spanned::span);
        Self { document: self.document, at: At::Found { node, span } }
    }

    fn in_route(&self, route: usize, steps: &SmallVec<[Step; 4]>, next: Step) -> Self {
        let mut steps = steps.clone();
        steps.push(next);
        Self { document: self.document, at: At::InRoute { route, steps } }
    }

    /// The value, and where it is or would be.
    fn found(&self) -> (Option<&'d Node<'t>>, Span) {
        let of_route = |route: usize| self.document.apart.get(route).and_then(Apart::node);
        match &self.at {
            At::Found { node, span } => (*node, span.clone()),
            // The list begins where its first table does.
            At::Routes => (None, of_route(0).map(Spanned::span).unwrap_or_default()),
            At::InRoute { route, steps } => {
                let node = of_route(*route);
                let whole = self.below(0..0, node);
                let step = |place: Self, step: &Step| match step {
                    Step::Key(key) => place.named(key),
                    Step::Index(index) => place.index(*index),
                };
                steps.iter().fold(whole, step).found()
            }
        }
    }

    /// The text that it is.
    pub(super) fn text(&self) -> Option<&'d str> {
        self.found().0.and_then(|node| node.get_ref().as_str())
    }

    /// Where it is.
    pub(super) fn span(&self) -> Span {
        self.found().1
    }

    /// Where the key itself is, left of the equals sign; the place of the table if it does not have it.
    pub(super) fn span_of_key(&self, key: &str) -> Span {
        let (node, span) = self.found();
        let table = node.and_then(|node| node.get_ref().as_table());
        table.and_then(|table| table.get_key_value(key)).map_or(span, |(key, _)| key.span())
    }

    /// Whether the file has it.
    pub(super) fn exists(&self) -> bool {
        matches!(self.at, At::Routes) || self.found().0.is_some()
    }

    /// Whether the value of this key is what the file says: neither cut out, nor anything cut out of it.
    pub(super) fn is_whole(&self, key: &'static str) -> bool {
        !self.has_lost(key) && !self.key(key).is_wounded()
    }

    /// Whether this key was cut out.
    pub(super) fn has_lost(&self, key: &str) -> bool {
        let lost = &self.document.lost;
        !lost.is_empty()
            && self.found().0.is_some_and(|node| lost.contains(&(Identity::of(node), key.to_owned())))
    }

    /// Whether something was cut out of it.
    pub(super) fn is_wounded(&self) -> bool {
        let wounds = &self.document.wounds;
        !wounds.is_empty() && self.found().0.is_some_and(|node| wounds.contains(&Identity::of(node)))
    }
}
