//! Which member a connection is offered to first, and whether it may be used: the choice alone, apart from what is counted.
//!
//! ```text
//!  weights, levels ──► Plan (made when they change: shares, spans, hash tables, trees)
//!                        │
//!  Seen (atomics) ──► look ──► Sight: which levels serve ──► choose ──► the place of one member
//! ```
//! | algorithm | how | cost |
//! |---|---|---|
//! | [round robin](round_robin) | a stride through all weights laid end to end | O(1) |
//! | [`random`] | a random slot of them | O(1) |
//! | [P2C](p2c) | two random slots | O(1) |
//! | [least connections](least) | all are looked at, or a tree of minima | O(log n) |
//! | [`hash`] | a Maglev table | O(1) |
//! | [`first`] | the list from its front | O(those that may not be used) |
//!
//! A plan knows weights and levels only, so it is made anew when one of them changes and never on the way of a connection. Whether
//! a member may be used, how much of its weight it has at present and how many connections are open is asked of [`Seen`] at
//! each choice: a draw that falls on one that may not be used is drawn again, [`DRAWS`] times at most; after that the members are
//! walked in their order. So a group of which most are down costs a walk (some nanoseconds for each member), and any other none.
//!
//! Nothing here locks, waits, allocates on the way of a connection, or knows what time it is.

mod draw;
pub mod first;
pub mod hash;
pub mod least;
mod levels;
pub mod p2c;
mod plan;
pub mod random;
pub mod round_robin;
mod seen;
mod shares;
pub(crate) mod turn;

pub use draw::{Choice, DRAWS};
pub use levels::{Sight, Way};
pub use plan::{FEW, Plan, Weighed};
pub use seen::{Rank, Seen};
pub use turn::Rotation;
