//! What the admin API of a proxy says and takes, and where it is to be found: for whoever serves it, and for whoever asks.
//!
//! - [`model`]: the shapes of its JSON;
//! - [`chain`]: the tables of several proxies, joined;
//! - [`places`]: the socket of a running proxy.

pub mod chain;
pub mod model;
pub mod places;
