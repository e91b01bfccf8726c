//! Values that cannot hold what nothing could work with, and their written forms.
//!
//! - [`bound`]: durations that are never zero and never absent, and sizes;
//! - [`whole`]: numbers and sizes within a range that is part of their type;
//! - [`choice`]: a word, or a table with one key;
//! - [`spelling`]: what was probably meant;
//! - [`plural`]: numbers of things in words.
//!
//! What it is not: it reads no file, and knows nothing of proxies. Its macros, hidden here, are shared by the crates of its
//! workspace and are no part of the API.
//!
//! Features: `serde` (the values in their written form) and `schemars` (its JSON schema).

pub mod bound;
#[cfg(feature = "serde")]
pub mod choice;
#[doc(hidden)]
pub mod layered;
pub mod plural;
#[doc(hidden)]
pub mod setters;
pub mod spelling;
pub mod whole;

pub use bound::{Bound, ByteSize};
#[cfg(feature = "serde")]
pub use choice::Choice;
pub use whole::{Size, Whole};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
