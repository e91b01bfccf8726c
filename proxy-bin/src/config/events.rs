//! A table of a file, read as the parser goes through it: without the tree, which takes ten times as long and as much memory.
//!
//! What is read is what the tree would say. Whatever is unusual (a header of a table further down, dotted keys, a date), and
//! whatever is wrong, is not read here at all: [`Unusual`] says no more, and the tree is there for it. A key that comes twice is
//! refused by the struct that has it: for a map of any keys this is not made.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, CowStrDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use toml_parser::decoder::ScalarKind;
use toml_parser::lexer::Token;
use toml_parser::parser::{Event, EventKind, RecursionGuard, ValidateWhitespace, parse_document};
use toml_parser::{ParseError, Source};

/// Tables and lists within each other: no route has more.
const DEEPEST: u32 = 16;

/// A text that has to be read in another way, if it can be read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it has to be read in another way")]
pub(super) struct Unusual;

impl de::Error for Unusual {
    /// What is wrong is found out by whoever can say where.
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Reads one table after the other, with the same memory.
#[derive(Default)]
pub(super) struct Events {
    tokens: Vec<Token>,
    events: Vec<Event>,
}

impl Events {
    /// Reads a text that is one table of an array of tables: its header, `[[name]]`, and its keys.
    pub(super) fn read<'t, T: Deserialize<'t>>(
        &mut self,
        name: &'static str,
        text: &'t str,
    ) -> Result<T, Unusual> {
        let source = Source::new(text);
        self.tokens.clear();
        self.tokens.extend(source.lex());
        self.events.clear();
        let mut wrong: Option<ParseError> = None;
        let mut keep = |event: Event| {
            let is_space =
                matches!(event.kind(), EventKind::Whitespace | EventKind::Comment | EventKind::Newline);
            if !is_space {
                self.events.push(event);
            }
        };
        let mut validated = ValidateWhitespace::new(&mut keep, source);
        parse_document(&self.tokens, &mut RecursionGuard::new(&mut validated, DEEPEST), &mut wrong);
        if wrong.is_some() {
            return Err(Unusual);
        }
        let mut reader = Reader { source, events: &self.events };
        reader.pass(EventKind::ArrayTableOpen)?;
        if reader.simple_key()? != name {
            return Err(Unusual);
        }
        reader.pass(EventKind::ArrayTableClose)?;
        let read = T::deserialize(Table { reader: &mut reader, of: Some(name) })?;
        if reader.events.is_empty() { Ok(read) } else { Err(Unusual) }
    }
}

/// What is left to read.
struct Reader<'e, 't> {
    source: Source<'t>,
    events: &'e [Event],
}

impl<'t> Reader<'_, 't> {
    fn peek(&self) -> Option<EventKind> {
        self.events.first().map(Event::kind)
    }

    fn next(&mut self) -> Result<Event, Unusual> {
        let (first, rest) = self.events.split_first().ok_or(Unusual)?;
        self.events = rest;
        Ok(*first)
    }

    /// Passes over what has to come.
    fn pass(&mut self, kind: EventKind) -> Result<(), Unusual> {
        if self.next()?.kind() == kind { Ok(()) } else { Err(Unusual) }
    }

    fn simple_key(&mut self) -> Result<Cow<'t, str>, Unusual> {
        let event = self.next()?;
        if event.kind() != EventKind::SimpleKey {
            return Err(Unusual);
        }
        let (mut key, mut wrong) = (Cow::Borrowed(""), None::<ParseError>);
        self.source.get(event).ok_or(Unusual)?.decode_key(&mut key, &mut wrong);
        if wrong.is_none() { Ok(key) } else { Err(Unusual) }
    }

    /// A key and the equals sign. A dot in place of that is a dotted key.
    fn key(&mut self) -> Result<Cow<'t, str>, Unusual> {
        let key = self.simple_key()?;
        self.pass(EventKind::KeyValSep)?;
        Ok(key)
    }

    /// How many entries the list has of which the first comes next.
    #[expect(clippy::wildcard_enum_match_arm, reason = "everything else is part of an entry")]
    fn entries(&self) -> usize {
        let (mut depth, mut entries, mut is_begun) = (0_usize, 0, false);
        for event in self.events {
            match event.kind() {
                EventKind::ArrayClose | EventKind::InlineTableClose if depth == 0 => break,
                EventKind::ArrayClose | EventKind::InlineTableClose => depth -= 1,
                EventKind::ValueSep if depth == 0 => is_begun = false,
                kind => {
                    entries += usize::from(depth == 0 && !is_begun);
                    is_begun = is_begun || depth == 0;
                    depth += usize::from(matches!(kind, EventKind::ArrayOpen | EventKind::InlineTableOpen));
                }
            }
        }
        entries
    }

    fn scalar(&mut self) -> Result<(ScalarKind, Cow<'t, str>), Unusual> {
        let event = self.next()?;
        if event.kind() != EventKind::Scalar {
            return Err(Unusual);
        }
        let (mut text, mut wrong) = (Cow::Borrowed(""), None::<ParseError>);
        let kind = self.source.get(event).ok_or(Unusual)?.decode_scalar(&mut text, &mut wrong);
        if wrong.is_none() { Ok((kind, text)) } else { Err(Unusual) }
    }
}

/// A table that has lines of its own.
struct Table<'r, 'e, 't> {
    reader: &'r mut Reader<'e, 't>,
    /// What it is a table of: the route itself, which may have tables with headers; None for one of those.
    of: Option<&'static str>,
}

impl<'de> Deserializer<'de> for Table<'_, '_, 'de> {
    type Error = Unusual;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        visitor.visit_map(Lines { reader: self.reader, of: self.of, at_header: false })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Unusual> {
        Err(Unusual)
    }

    serde::forward_to_deserialize_any! {
        bool u8 u16 u32 u64 i8 i16 i32 i64 f32 f64 char str string seq bytes byte_buf map unit newtype_struct
        ignored_any unit_struct tuple_struct tuple identifier struct
    }
}

/// The keys of a table that has lines of its own, then the tables in it that have headers.
struct Lines<'r, 'e, 't> {
    reader: &'r mut Reader<'e, 't>,
    of: Option<&'static str>,
    at_header: bool,
}

impl<'t> Lines<'_, '_, 't> {
    /// The name of a table in this one, `[of.name]`.
    fn header(&mut self) -> Result<Cow<'t, str>, Unusual> {
        self.reader.pass(EventKind::StdTableOpen)?;
        let around = self.reader.simple_key()?;
        self.reader.pass(EventKind::KeySep)?;
        let name = self.reader.simple_key()?;
        self.reader.pass(EventKind::StdTableClose)?;
        if Some(&*around) == self.of { Ok(name) } else { Err(Unusual) }
    }
}

impl<'t> MapAccess<'t> for Lines<'_, '_, 't> {
    type Error = Unusual;

    fn next_key_seed<K: DeserializeSeed<'t>>(&mut self, seed: K) -> Result<Option<K::Value>, Unusual> {
        let key = match self.reader.peek() {
            None => return Ok(None),
            Some(EventKind::StdTableOpen | EventKind::ArrayTableOpen) if self.of.is_none() => {
                return Ok(None);
            }
            Some(EventKind::StdTableOpen) => {
                self.at_header = true;
                self.header()?
            }
            _ => self.reader.key()?,
        };
        seed.deserialize(text(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'t>>(&mut self, seed: V) -> Result<V::Value, Unusual> {
        if std::mem::take(&mut self.at_header) {
            seed.deserialize(Table { reader: self.reader, of: None })
        } else {
            seed.deserialize(Value(self.reader))
        }
    }
}

/// The keys of a table in braces.
struct Inline<'r, 'e, 't>(&'r mut Reader<'e, 't>);

impl<'t> MapAccess<'t> for Inline<'_, '_, 't> {
    type Error = Unusual;

    fn next_key_seed<K: DeserializeSeed<'t>>(&mut self, seed: K) -> Result<Option<K::Value>, Unusual> {
        if self.0.peek() == Some(EventKind::ValueSep) {
            self.0.next()?;
        }
        if self.0.peek() == Some(EventKind::InlineTableClose) {
            return Ok(None);
        }
        seed.deserialize(text(self.0.key()?)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'t>>(&mut self, seed: V) -> Result<V::Value, Unusual> {
        seed.deserialize(Value(self.0))
    }
}

/// The entries of a list, and how many are left.
struct List<'r, 'e, 't>(&'r mut Reader<'e, 't>, usize);

impl<'t> SeqAccess<'t> for List<'_, '_, 't> {
    type Error = Unusual;

    fn next_element_seed<T: DeserializeSeed<'t>>(&mut self, seed: T) -> Result<Option<T::Value>, Unusual> {
        if self.0.peek() == Some(EventKind::ValueSep) {
            self.0.next()?;
        }
        if self.0.peek() == Some(EventKind::ArrayClose) {
            return Ok(None);
        }
        self.1 = self.1.saturating_sub(1);
        seed.deserialize(Value(self.0)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.1)
    }
}

fn text(text: Cow<'_, str>) -> CowStrDeserializer<'_, Unusual> {
    CowStrDeserializer::new(text)
}

/// The value that comes next.
struct Value<'r, 'e, 't>(&'r mut Reader<'e, 't>);

impl<'t> Value<'_, '_, 't> {
    fn visit_scalar<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Unusual> {
        let (kind, text) = self.0.scalar()?;
        match (kind, text) {
            (ScalarKind::String, Cow::Borrowed(text)) => visitor.visit_borrowed_str(text),
            (ScalarKind::String, Cow::Owned(text)) => visitor.visit_string(text),
            (ScalarKind::Boolean(is), _) => visitor.visit_bool(is),
            (ScalarKind::Integer(radix), text) => {
                visitor.visit_i64(i64::from_str_radix(&text, radix.value()).map_err(|_| Unusual)?)
            }
            (ScalarKind::DateTime | ScalarKind::Float, _) => Err(Unusual),
        }
    }
}

impl<'de> Deserializer<'de> for Value<'_, '_, 'de> {
    type Error = Unusual;

    #[expect(clippy::wildcard_enum_match_arm, reason = "no value begins with anything else")]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        match self.0.peek().ok_or(Unusual)? {
            EventKind::Scalar => self.visit_scalar(visitor),
            EventKind::ArrayOpen => {
                self.0.next()?;
                let entries = self.0.entries();
                let list = visitor.visit_seq(List(&mut *self.0, entries))?;
                self.0.pass(EventKind::ArrayClose)?;
                Ok(list)
            }
            EventKind::InlineTableOpen => {
                self.0.next()?;
                let table = visitor.visit_map(Inline(&mut *self.0))?;
                self.0.pass(EventKind::InlineTableClose)?;
                Ok(table)
            }
            _ => Err(Unusual),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unusual> {
        visitor.visit_newtype_struct(self)
    }

    /// Serde would fill one from a list, by position.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unusual> {
        match self.0.peek() {
            Some(EventKind::InlineTableOpen) => self.deserialize_any(visitor),
            Some(_) | None => Err(Unusual),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unusual> {
        match self.0.scalar()? {
            (ScalarKind::String, Cow::Borrowed(word)) => {
                visitor.visit_enum(BorrowedStrDeserializer::new(word))
            }
            (ScalarKind::String, word @ Cow::Owned(_)) => visitor.visit_enum(text(word)),
            (
                ScalarKind::Boolean(_) | ScalarKind::DateTime | ScalarKind::Float | ScalarKind::Integer(_),
                _,
            ) => Err(Unusual),
        }
    }

    serde::forward_to_deserialize_any! {
        bool u8 u16 u32 u64 i8 i16 i32 i64 f32 f64 char str string seq bytes byte_buf map unit
        ignored_any unit_struct tuple_struct tuple identifier
    }
}

#[cfg(test)]
mod tests;
