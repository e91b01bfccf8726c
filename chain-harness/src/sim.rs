//! The simulated world: four hosts with a network and a clock of their own, and whole scenarios from one seed.
//!
//! ```text
//! clients ──Front── outer ──Middle── inner ──Back── backends      each a turmoil host
//!                     └── the product's accept loop and connection function, on a configuration it has parsed
//! ```
//! turmoil gives hosts, time, latency, `hold` and `partition`. TCP above it is ours ([`Kernel`]), since turmoil's own
//! streams have no reset, no black hole that ends, and lose for good what a partition takes.
//!
//! [`run`] plays a [`Scenario`] until everybody has gone, and holds both hops against the [`laws`](crate::laws) whenever
//! all is quiet. A scenario that breaks one prints itself as a test ([`Scenario::to_test`]): paste it, and give it a name.
//!
//! Where a scenario says so, TLS is spoken on its links: the product's own, over these streams and in this time. Its random numbers
//! and the clock that certificates and tickets are held against are the machine's. No verdict depends on either: every record has the
//! size that it has in every other run, since keys are Ed25519, and nothing but sizes is looked at.
//!
//! What it is not: a model of a kernel's every corner. There is no congestion, and segments are lost only in a cut link.

mod actor;
mod conn;
mod content;
mod crowd;
mod hop;
mod interrupt;
mod kernel;
mod member;
mod scenario;
mod segment;
mod settings;
mod strategy;
mod stream;
mod tls;
mod world;

pub use hop::Build;
pub use interrupt::Interruption;
pub use kernel::Kernel;
pub use scenario::{
    Act, AtLimit, Backend, Client, Enters, Fault, Hop, Link, Mood, OnDown, Pool, Reads, Scenario, Script,
    SendProxy, Settings, Targets, What, Who,
};
pub use strategy::{Shape, scenarios, scenarios_with_tls};
pub use stream::{SimListener, SimNet, SimStream};
pub use world::{Outcome, check, report, run, run_rounds};

/// All that a pasted scenario names.
pub mod vocabulary {
    pub use super::Act::{Await, CutOff, Drip, End, Pause, Reset, Send, Vanish};
    pub use super::AtLimit::{Queue, Reject};
    pub use super::Backend::{BlackHole, Echoes, Plays, Refuses};
    pub use super::Enters::{AtInner, Plainly, WithHello};
    pub use super::Hop::{Inner, Outer};
    pub use super::Link::{Back, Front, Middle};
    pub use super::Mood::{Frozen, Gone, Mute, Resets, Well};
    pub use super::OnDown::{Drains, Keeps, Kills};
    pub use super::Reads::{All, Only, Slowly};
    pub use super::SendProxy::{Off, V1, V2};
    pub use super::Targets::{
        AfterBlackHole, AfterRefusing, AfterUnknown, Checked, Named, One, SecondAddress,
    };
    pub use super::What::{CancelAll, ClockJump, Cut, Hold, Kill, Panic, PowerLoss, Turns};
    pub use super::Who::{Real, Stranger};
    pub use super::{
        Act, AtLimit, Backend, Build, Client, Enters, Fault, Hop, Link, Mood, OnDown, Pool, Reads, Scenario,
        Script, SendProxy, Settings, Targets, What, Who,
    };
}
