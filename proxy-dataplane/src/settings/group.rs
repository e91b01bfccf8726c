//! Groups that have a name of their own, which any number of routes use.

use std::sync::Arc;

use proxy_upstream::{GroupOptions, MemberOptions, Target};

/// A named group: its state (breakers, limits, health, counts, turn) is its own, however many routes use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    /// The name in logs and metrics, without the `@` that refers to it.
    pub name: Arc<str>,
    /// Its members that are listed; none only where there are [`names`](GroupOptions::names).
    members: Arc<[MemberOptions]>,
    /// Where they are, in the same order.
    targets: Arc<[Target]>,
    /// What holds for all of them.
    pub options: GroupOptions,
}

impl GroupConfig {
    /// A group of that name.
    #[must_use]
    pub fn new(
        name: Arc<str>,
        members: impl IntoIterator<Item = MemberOptions>,
        options: GroupOptions,
    ) -> Self {
        let members: Arc<[MemberOptions]> = members.into_iter().collect();
        let targets = members.iter().map(|member| member.target.clone()).collect();
        Self { name, members, targets, options }
    }

    /// Its members that are listed, in the order of the configuration.
    #[must_use]
    pub fn members(&self) -> &[MemberOptions] {
        &self.members
    }

    /// Where they are, in the same order.
    #[must_use]
    pub const fn targets(&self) -> &Arc<[Target]> {
        &self.targets
    }
}
