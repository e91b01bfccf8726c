//! What the admin API says and takes, as JSON: the one shape for the server, the command line and the OpenAPI description.
//!
//! Times are seconds (`_s`), sizes bytes (`_bytes`), counts since the start `_total`; the names of phases, causes, pools and
//! levels are those of logs and metrics. A field that is null is not known, or does not apply.

mod audit;
mod certificates;
mod chain;
mod change;
mod connections;
mod findings;
mod groups;
mod history;
mod log;
mod outcomes;
mod phases;
mod problem;
mod routes;
mod sampled;
mod status;
mod tls;
mod usage;

pub use audit::{Audit, AuditFinding, AuditSummary, StuckAt};
pub use certificates::{
    Certificate, Certificates, ObtainedCertificate, RenewCertificate, UnusableCertificate,
};
pub use chain::{
    Chain, ChainConnection, ChainGroup, ChainHop, Disagreement, Hop, HopDeadlines, HopMinute, Pile, Spread,
};
pub use change::{Change, ChangeKind, Diff, NEW_CONFIGURATION, Reload, Upgrade};
pub use connections::{
    Connection, ConnectionGroup, ConnectionGroups, ConnectionInFull, Connections, Filter, GroupBy, Kill,
    Killed, Socket, SortBy, Tcp, TraceEvent,
};
pub use findings::{Finding, Subject};
pub use groups::{AddMember, Group, GroupName, Leaving, MemberChange, RemoveMember, SetWeight};
pub use history::{History, Step};
pub use log::{LogStatus, SetLogLevel};
pub use outcomes::{Minute, Outcomes};
pub use phases::Phases;
pub use problem::Problem;
pub use proxy_conn::Phase;
pub use routes::{Drain, DrainKind, DrainRequest, Limit, Listener, Pool, Route, Target};
pub use sampled::{SampledSide, SampledSockets};
pub use status::{AgeBucket, Build, ConfigStatus, ConfigText, Memory, Sample, Status};
pub use tls::Tls;
pub use usage::Usage;
