//! What an operator sees and changes while the proxy runs: the admin API, metrics, the dashboard.

pub mod model;
pub mod page;
