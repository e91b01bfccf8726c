//! Values that are a word, or a table with one key: `"refuse"`, `{ forward = ["10.0.0.1:80"] }`.
//!
//! This is the shape of an externally tagged enum. Serde's own reading of one answers a wrong value with "invalid
//! type: unit variant, expected newtype variant"; this one says what may be written.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use crate::spelling;

/// A type that is written as a word, or as a table with one key.
pub trait Choice: Sized {
    /// What the key of the table form holds.
    type Body: for<'de> Deserialize<'de>;
    /// What that is, as in "needs a list".
    const BODY: &'static str;
    /// What is expected, as the end of a sentence.
    const EXPECTED: &'static str;
    /// The words.
    const WORDS: &'static [&'static str];
    /// The keys of the table form, one of which is written.
    const KEYS: &'static [&'static str];

    /// The value of one of [`Choice::WORDS`].
    fn word(word: &str) -> Option<Self>;

    /// The value of one of [`Choice::KEYS`].
    fn table(key: &str, body: Self::Body) -> Option<Self>;
}

/// Reads a [`Choice`].
///
/// # Errors
/// What may be written, where what is written is something else; the deserializer adds where.
pub fn read<'de, T: Choice, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(Either(PhantomData))
}

struct Either<T>(PhantomData<T>);

impl<'de, T: Choice> Visitor<'de> for Either<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<T, E> {
        if T::KEYS.contains(&word) {
            return Err(E::custom(format_args!("`{word}` needs {}: write {}", T::BODY, T::EXPECTED)));
        }
        T::word(word).ok_or_else(|| {
            let near = spelling::nearest(word, T::WORDS).or_else(|| spelling::nearest(word, T::KEYS));
            let near = near.map(|near| format!(", perhaps `{near}`")).unwrap_or_default();
            E::custom(format_args!("unknown value `{word}`{near}: write {}", T::EXPECTED))
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let one = || A::Error::custom(format_args!("expected {}", T::EXPECTED));
        let key = map.next_key_seed(Key::<T>(PhantomData))?.ok_or_else(one)?;
        let body = map.next_value()?;
        if map.next_key_seed(Key::<T>(PhantomData))?.is_some() {
            return Err(A::Error::custom(format_args!("only one key can be here: write {}", T::EXPECTED)));
        }
        T::table(key, body).ok_or_else(one)
    }
}

/// Reads a key, and refuses one that is not known while the deserializer still knows where it stands.
struct Key<T>(PhantomData<T>);

impl<'de, T: Choice> DeserializeSeed<'de> for Key<T> {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'static str, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T: Choice> Visitor<'_> for Key<T> {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<&'static str, E> {
        T::KEYS.iter().find(|known| **known == key).copied().ok_or_else(|| E::unknown_variant(key, T::KEYS))
    }
}
