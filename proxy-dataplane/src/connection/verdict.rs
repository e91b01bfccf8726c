//! What a stage has to say when the connection ends in it.

pub(super) use proxy_conn::Verdict;
