//! Certificates that obtain and renew themselves (ACME, RFC 8555).
//!
//! ```text
//! Wanted ─► Acme::prepare (reads the folder) ─► put_in_force ─► run: order, renew, back off ─► Challenges answer, the caller is told
//! ```
//! - **Pure parts**: when to renew ([`renew_at`]), when to try again ([`next_try`]), what is due for a name.
//! - **Authorities** are reached through the caller's [`Dial`](proxy_core::Dial); every request, every wait for a decision and every
//!   order has a deadline. Where one gives no certificate, the next one is asked.
//! - **A folder** ([`Storage`]) has accounts, keys and certificates, for its user only; proxies may share it.
//! - **Challenges** are answered by [`proxy_tls::Challenges`], which the caller's connections look at.

mod acme;
mod answer;
mod aside;
mod attempt;
mod authority;
mod backoff;
mod desk;
mod entry;
mod failure;
mod http;
mod options;
mod order;
mod record;
mod schedule;
mod standing;
mod storage;
mod stored;

pub use acme::{Acme, Prepared, UnknownName};
pub use answer::{Answer, AnswerError, ChallengeKind};
pub use authority::{Authority, DirectoryError, ExternalAccount};
pub use backoff::{Lesson, next_try};
pub use failure::{Failure, FailureKind};
pub use http::Network;
pub use options::{Name, Options, Wanted};
pub use record::Record;
pub use schedule::{Window, ask_again, renew_at};
pub use standing::Standing;
pub use storage::{Lock, Storage, StorageError};
