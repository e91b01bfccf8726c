//! A group: targets that stand for each other, what is counted for each, and whose turn it is.

mod follow;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use proxy_conn::BreakerOptions;
use proxy_core::TargetAddr;

use crate::candidates::Candidates;
use crate::kept::Kept;
use crate::key::Key;
use crate::member::Member;
use crate::options::{GroupOptions, MemberOptions, Weight};
use crate::recovery::Unhealthy;
use crate::table::{Entry, Table};

/// The members of a group, and how one of them is chosen.
///
/// It is made of a configuration, and members may be added, removed and weighed differently while it runs: that lasts until the next
/// configuration, but for weights, which last until the configuration says another one.
#[derive(Debug)]
pub struct Group {
    name: Arc<str>,
    /// Its name as it is logged: with an `@` where it is no route's.
    label: Arc<str>,
    options: GroupOptions,
    /// That of its options, for all members.
    breaker: Arc<BreakerOptions>,
    /// In the order of the configuration.
    configured: Box<[Arc<Member>]>,
    /// As they are now. Exchanged by whoever holds `changing`.
    table: ArcSwap<Table>,
    changing: Mutex<ByHand>,
    kept: Kept,
    unhealthy: Arc<Unhealthy>,
}

/// Members that were removed while it runs: answers that have them make them members no more.
#[derive(Debug, Default)]
struct ByHand {
    removed: HashSet<Box<str>>,
}

/// Why members cannot be changed so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// There is one at that target.
    #[error("{0} is a member already")]
    Known(Arc<str>),
    /// There is none at that target.
    #[error("{0} is no member")]
    Unknown(Arc<str>),
    /// A group has a member at least.
    #[error("{0} is the last member: a group has one at least")]
    Last(Arc<str>),
}

impl Group {
    /// The group of the route of that name. Those members that are `kept` go on with all that is counted, and those that are new
    /// are kept from then on. Members that are not well are tried by whoever [`recover`](crate::recover)s with the same `unhealthy`.
    #[must_use]
    pub fn new(
        name: Arc<str>,
        members: impl IntoIterator<Item = MemberOptions>,
        options: GroupOptions,
        kept: &Kept,
        unhealthy: &Arc<Unhealthy>,
    ) -> Self {
        let mut members: Vec<_> = members.into_iter().collect();
        let listed = members.len();
        follow::extend(&mut members, &options, kept);
        let breaker = Arc::new(options.breaker);
        let configured = kept.take(members.clone(), &options, &breaker);
        let entry = |(member, configured): (&Arc<Member>, _)| Entry::new(Arc::clone(member), configured);
        let table = Table::new(configured.iter().zip(&members).map(entry).collect(), &options);
        Self {
            label: Arc::clone(&name),
            name,
            breaker,
            options,
            configured: configured.into_iter().take(listed).collect(),
            table: ArcSwap::from_pointee(table),
            changing: Mutex::default(),
            kept: kept.clone(),
            unhealthy: Arc::clone(unhealthy),
        }
    }

    /// The same with a name of its own, which any number of routes go by.
    #[must_use]
    pub fn named(self) -> Self {
        Self { label: format!("@{}", self.name).into(), ..self }
    }

    /// Makes its members obey its options from now on, and marks them as in force.
    pub fn take_force(&self) {
        let table = self.table.load_full();
        for entry in table.entries() {
            self.rule(&entry.member);
            entry.member.take_weight(entry.weight);
        }
        // A weight was set since it was made.
        if table.is_stale() {
            self.exchange(|entries| entries);
        }
        // And a name may have been looked up.
        self.follow_all();
        self.have_checked();
    }

    /// A member obeys its options from now on, and is in force.
    fn rule(&self, member: &Member) {
        member.set_in_force(true);
        member.limit.set_most(self.options.max_connections_per_member);
        member.breaker.set_options(Arc::clone(&self.breaker));
        member.set_egress(self.options.egress.as_ref());
    }

    /// Its members, as they are now, are checked and watched from now on as it says.
    fn have_checked(&self) {
        let (table, health) = (self.table.load(), &self.options.health);
        let members = table.entries().iter().map(|entry| (&entry.member, entry.member.target()));
        self.unhealthy.checks.follow(&self.label, members, health.check.as_ref(), health.outliers.as_ref());
    }

    /// Its name: that of the route whose group it is, or its own.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether it has a name of its own, which any number of routes go by.
    #[must_use]
    pub fn has_own_name(&self) -> bool {
        !Arc::ptr_eq(&self.name, &self.label)
    }

    /// Its name in the log and in metrics: with an `@` where it is its own.
    #[must_use]
    pub const fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// What holds for it and its members.
    #[must_use]
    pub const fn options(&self) -> &GroupOptions {
        &self.options
    }

    /// Its members as they are now, those that were added while it runs too, by levels. What looks at all members of a group (a
    /// loop of checks, a listing) asks for them anew each time.
    #[must_use]
    pub fn members(&self) -> Vec<Arc<Member>> {
        self.table.load().entries().iter().map(|entry| Arc::clone(&entry.member)).collect()
    }

    /// Its members with how each is used, as they are now, by levels.
    #[must_use]
    pub fn member_options(&self) -> Vec<(Arc<Member>, MemberOptions)> {
        let table = self.table.load();
        table.entries().iter().map(|entry| (Arc::clone(&entry.member), entry.options())).collect()
    }

    /// Those that were members of it and have connections yet.
    #[must_use]
    pub fn gone(&self) -> Vec<Arc<Member>> {
        let mut gone = self.kept.members();
        gone.retain(|member| !member.is_in_force() && member.limit.in_use() > 0);
        gone
    }

    /// Its members as they are listed, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.configured.iter().map(|member| &**member)
    }

    /// The member in this place of those that are listed.
    #[must_use]
    pub fn nth(&self, at: usize) -> Option<&Member> {
        self.configured.get(at).map(|member| &**member)
    }

    /// Permits of all its members that are out.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.table.load().entries().iter().map(|entry| entry.member.limit.in_use()).sum()
    }

    /// Whether there are members and each of them is being drained.
    #[must_use]
    pub fn all_draining(&self) -> bool {
        let table = self.table.load();
        table.len() > 0 && table.entries().iter().all(|entry| entry.member.draining.is_on())
    }

    /// The members for a connection that came in on `port` and of which nothing else is known: see
    /// [`candidates_for`](Self::candidates_for).
    #[must_use]
    pub fn candidates(&self, port: u16) -> Candidates<'_> {
        self.candidates_for(port, &Key::default())
    }

    /// The members for a connection that came in on `port` and is distinguished by `key`: first the one that is chosen, then the others
    /// as a dial asks for them. Each call is a choice.
    #[must_use]
    pub fn candidates_for(&self, port: u16, key: &Key<'_>) -> Candidates<'_> {
        let table = self.table.load_full();
        let (first, serving) = table.choose(self.kept.turn(), key);
        Candidates::new(self, table, port, first, serving)
    }

    /// Gives the member at `target` another weight from now on, also over configurations, until one says another weight for it
    /// than the last one did. What it was.
    ///
    /// # Errors
    /// [`ChangeError::Unknown`].
    pub fn set_weight(&self, target: &str, weight: Weight) -> Result<Weight, ChangeError> {
        let _alone = self.changing.lock();
        let table = self.table.load_full();
        let of_name = || table.entries().iter().filter(|entry| *entry.member.name == *target);
        let before = of_name().next().map(|entry| entry.member.weight());
        let before = before.ok_or_else(|| ChangeError::Unknown(target.into()))?;
        of_name().for_each(|entry| entry.member.set_weight(weight));
        self.put(|entries| entries);
        Ok(before)
    }

    /// Adds a member, until the next configuration, which says who its members are. It starts slowly where the group does so, and
    /// goes on with what is counted for it if it was a member before.
    ///
    /// # Errors
    /// [`ChangeError::Known`].
    pub fn add(&self, member: &MemberOptions) -> Result<Arc<Member>, ChangeError> {
        let mut by_hand = self.changing.lock();
        let name = member.target.to_string();
        if self.table.load().entries().iter().any(|entry| *entry.member.name == *name) {
            return Err(ChangeError::Known(name.into()));
        }
        by_hand.removed.remove(&*name);
        let added = self.kept.take_one(member.clone(), (&self.options, &self.breaker), true);
        self.rule(&added);
        added.take_weight(member.weight);
        self.put(|mut entries| {
            entries.push(Entry::new(Arc::clone(&added), member));
            entries
        });
        self.have_checked();
        Ok(added)
    }

    /// Removes the member at `target`, until the next configuration, which says who its members are. It takes no connection from now
    /// on, but for dials under way. Its connections go on: what becomes of them is for the caller to see to, who gets what there was.
    ///
    /// # Errors
    /// [`ChangeError::Unknown`], [`ChangeError::Last`].
    pub fn remove(&self, target: &str) -> Result<Vec<Arc<Member>>, ChangeError> {
        let mut by_hand = self.changing.lock();
        let table = self.table.load_full();
        let (gone, stay): (Vec<&Entry>, Vec<_>) =
            table.entries().iter().partition(|entry| *entry.member.name == *target);
        match (gone.is_empty(), stay.is_empty()) {
            (true, _) => return Err(ChangeError::Unknown(target.into())),
            (_, true) => return Err(ChangeError::Last(target.into())),
            (false, false) => {}
        }
        by_hand.removed.insert(target.into());
        self.put(|entries| entries.into_iter().filter(|entry| *entry.member.name != *target).collect());
        let gone: Vec<_> = gone.into_iter().map(|entry| Arc::clone(&entry.member)).collect();
        gone.iter().for_each(|member| member.set_in_force(false));
        self.have_checked();
        self.kept.forget();
        Ok(gone)
    }

    fn exchange(&self, change: impl FnOnce(Vec<Entry>) -> Vec<Entry>) {
        let _alone = self.changing.lock();
        self.put(change);
    }

    /// Makes a table of what becomes of the entries; only while `changing` is held.
    fn put(&self, change: impl FnOnce(Vec<Entry>) -> Vec<Entry>) {
        let entries = change(self.table.load().entries().to_vec());
        self.table.store(Arc::new(Table::new(entries, &self.options)));
    }

    /// A member is left alone, or lags: the proxy tries it by itself from now on.
    pub(crate) fn look_after(&self, member: &Arc<Member>, at: TargetAddr) {
        if !member.is_looked_after.swap(true, Ordering::Relaxed) {
            self.unhealthy.add(member, at, Arc::clone(&self.label));
        }
    }
}
