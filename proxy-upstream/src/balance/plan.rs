//! A plan: what a choice needs of weights and levels, made once for as long as these stay.

use super::draw::{Choice, Serving};
use super::hash::Table;
use super::least::{Least, of_few, of_many};
use super::levels::{Levels, Sight, Way};
use super::seen::Seen;
use super::shares::Shares;
use super::turn::Rotation;
use super::{first, hash, p2c, random, round_robin};
use crate::options::Balance;

/// So many members are all looked at for one choice: that takes less than keeping in mind what was seen of them.
pub const FEW: usize = 8;

/// A member as a plan knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weighed {
    /// Its weight, from 0 to 256.
    pub weight: u32,
    /// Its level.
    pub priority: u8,
    /// Whether it is a backup, whatever its level.
    pub backup: bool,
    /// A number that its name alone decides, for hashes.
    pub id: u64,
}

impl Weighed {
    /// The order in which a plan has its members: by levels, backups last.
    #[must_use]
    pub const fn order(&self) -> (bool, u8) {
        if self.backup { (true, 0) } else { (false, self.priority) }
    }
}

/// What a choice needs of weights and levels.
#[derive(Debug)]
pub struct Plan {
    balance: Balance,
    /// In percent.
    panic_threshold: u32,
    shares: Shares,
    levels: Levels,
    tables: Tables,
}

/// What is made for one algorithm only: for each level, and for the backups.
#[derive(Debug)]
enum Tables {
    None,
    Hash(Box<[Table]>),
    Least(Box<[Least]>),
}

impl Plan {
    /// The plan of these members, which stand in [their order](Weighed::order): the choice gives their places in it.
    #[must_use]
    pub fn new(members: &[Weighed], balance: Balance, panic_threshold: u32) -> Self {
        let shares = Shares::new(members.iter().map(|member| member.weight));
        let plain = members.iter().take_while(|member| !member.backup).count();
        let ends: Vec<usize> = members
            .chunk_by(|one, next| one.order() == next.order())
            .scan(0, |end, level| {
                *end += level.len();
                Some(*end)
            })
            .take_while(|end| *end <= plain)
            .collect();
        let levels = Levels::new(&shares, &ends, plain);
        let tables = match balance {
            Balance::Hash(_) => Tables::Hash(
                levels
                    .each()
                    .map(|span| {
                        let of_level = members.get(span.from..span.to).unwrap_or_default();
                        Table::new(span.from, of_level.iter().map(|member| (member.weight, member.id)))
                    })
                    .collect(),
            ),
            Balance::LeastConnections if members.len() > FEW => {
                Tables::Least(levels.each().map(|span| Least::new(span.from, span.to)).collect())
            }
            Balance::LeastConnections
            | Balance::RoundRobin
            | Balance::P2c
            | Balance::Random
            | Balance::First => Tables::None,
        };
        Self { balance, panic_threshold, shares, levels, tables }
    }

    /// How many members it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shares.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The weight of the member in this place.
    #[must_use]
    pub fn weight(&self, at: usize) -> u32 {
        self.shares.weight(at)
    }

    /// Who serves, as it is now. Looks at each member once. Open connections are only counted for a hash, whose bound they are.
    #[must_use]
    pub fn look(&self, seen: &impl Seen) -> Sight {
        let counts_open = matches!(self.balance, Balance::Hash(_));
        self.levels.look(seen, &self.shares, (self.panic_threshold, counts_open))
    }

    /// The places of those that serve that way.
    #[must_use]
    pub fn places(&self, way: Way) -> std::ops::Range<usize> {
        let span = self.levels.span(way);
        span.from..span.to
    }

    /// The member that a connection is offered to first, of those that serve by `sight`; None where there are no members. `key` is
    /// what the connection is told apart by; only hashes use it.
    #[must_use]
    pub fn choose(&self, seen: &impl Seen, sight: &Sight, turn: &Rotation, key: u64) -> Option<Choice> {
        if self.is_empty() {
            return None;
        }
        let span = self.levels.span(sight.way);
        let serving = Serving { span, seen, panic: sight.way == Way::Panic };
        let levels = self.levels.serving(sight.way);
        Some(match (self.balance, &self.tables) {
            (Balance::Hash(_), Tables::Hash(tables)) => {
                let tables = tables.get(levels).unwrap_or(tables);
                // Nobody's turn, but one more that was chosen.
                turn.next();
                hash::choose(&self.shares, tables, (&serving, sight), key)
            }
            (Balance::LeastConnections, Tables::Least(least)) => {
                of_many(&self.shares, least.get(levels).unwrap_or(least), &serving, turn)
            }
            (Balance::LeastConnections, _) => of_few(&self.shares, &serving, turn),
            (Balance::P2c, _) => p2c::choose(&self.shares, &serving, turn),
            (Balance::Random, _) => random::choose(&self.shares, &serving, turn),
            (Balance::First, _) => first::choose(&serving, turn),
            (Balance::RoundRobin | Balance::Hash(_), _) => round_robin::choose(&self.shares, &serving, turn),
        })
    }
}
