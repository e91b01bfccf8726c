//! A chain for people: what is wrong first, then the hops side by side, then connections.

use crate::conns;
use crate::format::{Align, Table, age, fine, plain};
use proxy_api::model::{Chain, ChainGroup, ChainHop, HopDeadlines, Pile, Spread};

/// Clocks that are further apart are told: log lines of two hops would be read in the wrong order.
const CLOCKS_APART: f64 = 0.5;

/// The summary, and a table of at most `most` connections.
pub(super) fn told(chain: &Chain, most: usize) -> String {
    let mut text = if chain.not_joined.is_none() { joined(chain) } else { apart(chain) };
    for group in &chain.groups {
        let lines = [line(group, chain.hops.len()), format!("      {}", group.meaning)];
        text.extend(lines.iter().map(|line| plain(line) + "\n"));
    }
    text.extend(wrong(chain).iter().map(|line| plain(line) + "\n"));
    text.push_str(&format!("\n{}", side_by_side(chain)));
    if !chain.connections.is_empty() {
        text.push_str(&format!("\n{}", table(chain, most)));
    }
    let shown = chain.connections.len().min(most) as u64;
    if chain.connections_total > shown {
        text.push_str(&format!("and {} more (--limit)\n", chain.connections_total - shown));
    }
    text
}

fn joined(chain: &Chain) -> String {
    let hops = chain.hops.iter();
    let hops: Vec<_> =
        hops.map(|hop| format!("{} {}", hop.name, hop.connections.unwrap_or_default())).collect();
    plain(&format!("{}: {} on every hop{}", hops.join(", "), chain.on_all_hops, one_sided(chain))) + "\n"
}

/// The hops one by one, where the tables could not be joined.
fn apart(chain: &Chain) -> String {
    let mut text = String::new();
    for hop in chain.hops.iter().filter(|hop| hop.connections.is_some()) {
        text.push_str(&alone(&hop.name, hop.connections.unwrap_or_default(), &hop.piles));
    }
    if let Some(why) = &chain.not_joined {
        text.push_str(&format!("not joined: {}\n", plain(why)));
    }
    text
}

/// What there is to say of a hop by itself.
pub(super) fn alone(name: &str, connections: u64, piles: &[Pile]) -> String {
    let mut text = format!("{} {connections}\n", plain(name));
    for pile in piles {
        let target = pile.target.as_deref().unwrap_or("-");
        let line =
            format!("  {} in {} → {target}, the oldest {}", pile.connections, pile.phase, age(pile.oldest_s));
        text.push_str(&plain(&line));
        text.push('\n');
    }
    text
}

/// What is wrong with hops, whatever their connections.
fn wrong(chain: &Chain) -> Vec<String> {
    let mut lines = Vec::new();
    for hop in chain.hops.iter().filter(|hop| !hop.answers) {
        let since = hop.silent_for_s.map(|for_s| format!(" for {}", age(for_s))).unwrap_or_default();
        let why = hop.why.as_deref().unwrap_or("it was not asked yet");
        lines.push(format!("! {} has not answered{since}: {why}", hop.name));
    }
    for one in &chain.disagreements {
        let mark = if one.advice { ' ' } else { '!' };
        lines.push(format!("{mark} {} → {}: {}", one.outer, one.inner, one.sentence));
        lines.extend(one.mends.iter().map(|mends| format!("      in {}: {mends}", one.at)));
    }
    for hop in &chain.hops {
        lines.extend(of_hop(hop));
    }
    lines
}

fn of_hop(hop: &ChainHop) -> Vec<String> {
    let mut lines = Vec::new();
    let refused = hop.minute.iter().flat_map(|minute| &minute.refused);
    let refused: Vec<_> = refused.map(|(cause, count)| format!("{cause} {count}")).collect();
    if !refused.is_empty() {
        lines.push(format!(
            "! {} has refused connections in the last minute: {}",
            hop.name,
            refused.join(", ")
        ));
    }
    if let (Some(ahead), Some(within)) = (hop.clock_ahead_s, hop.clock_within_s)
        && ahead.abs() - within > CLOCKS_APART
    {
        let side = if ahead > 0.0 { "ahead" } else { "behind" };
        lines.push(format!("! the clock of {} is {} {side}", hop.name, fine(ahead.abs())));
    }
    let findings =
        hop.facts.iter().flat_map(|facts| &facts.findings).filter(|finding| finding.severity != "info");
    lines.extend(findings.map(|finding| format!("! {}: {}", hop.name, finding.sentence)));
    lines
}

/// Hops in a table, a line each.
fn side_by_side(chain: &Chain) -> Table {
    let heads = [
        ("HOP", Align::Left),
        ("STATE", Align::Left),
        ("OPEN", Align::Right),
        ("UP", Align::Right),
        ("CLOCK", Align::Right),
        ("DIAL", Align::Right),
        ("IDLE", Align::Right),
        ("HALF-CLOSED", Align::Right),
        ("VERSION", Align::Left),
    ];
    let mut table = Table::new(&heads);
    for hop in &chain.hops {
        table.row(cells(hop));
    }
    table
}

fn cells(hop: &ChainHop) -> [String; 9] {
    let none = || "-".to_owned();
    let Some(facts) = &hop.facts else {
        return [
            hop.name.clone(),
            "no answer".to_owned(),
            none(),
            none(),
            none(),
            none(),
            none(),
            none(),
            none(),
        ];
    };
    let told =
        |of: fn(&HopDeadlines) -> Spread| facts.deadlines.as_ref().map_or_else(none, |all| spread(of(all)));
    [
        hop.name.clone(),
        if hop.answers { facts.state.clone() } else { "no answer".to_owned() },
        facts.connections.to_string(),
        age(facts.uptime_s),
        hop.clock_ahead_s.map_or_else(none, clock),
        told(|all| all.dial),
        told(|all| all.idle),
        told(|all| all.half_closed),
        facts.version.clone(),
    ]
}

/// A deadline: `9m00s`, or `30s to 9m00s` where routes differ.
fn spread(deadline: Spread) -> String {
    let told = |bound: Option<f64>| bound.map_or_else(|| "never".to_owned(), age);
    if deadline.least_s == deadline.most_s {
        return told(deadline.most_s);
    }
    format!("{} to {}", told(deadline.least_s), told(deadline.most_s))
}

/// How far a clock is off, as far as that is worth a word.
fn clock(ahead: f64) -> String {
    if ahead.abs() < 0.01 {
        return "same".to_owned();
    }
    format!("{}{}", if ahead > 0.0 { "+" } else { "-" }, fine(ahead.abs()))
}

/// How many are where alone.
fn one_sided(chain: &Chain) -> String {
    let mut sides: Vec<(String, u64)> = Vec::new();
    for group in chain.groups.iter().filter(|group| group.is_one_sided()) {
        let side = side(group, chain.hops.len());
        match sides.iter_mut().find(|(known, _)| *known == side) {
            Some((_, count)) => *count += group.count,
            None => sides.push((side, group.count)),
        }
    }
    if sides.is_empty() {
        return ", none on one side only".to_owned();
    }
    sides.iter().map(|(side, count)| format!(", {count} {side}")).collect()
}

/// Where a group is alone, in a chain of so many hops.
fn side(group: &ChainGroup, hops: usize) -> String {
    match &group.not_on {
        Some(other) if hops > 2 => format!("on {}, not on {other}", group.hop),
        Some(_) | None => format!("on {} only", group.hop),
    }
}

fn line(group: &ChainGroup, hops: usize) -> String {
    let (mark, place) = match group.is_one_sided() {
        true => ('!', side(group, hops)),
        false => (' ', format!("on {}, {}", group.hop, group.verdict.replace('_', " "))),
    };
    let target = group.target.as_ref().map(|target| format!(" → {target}")).unwrap_or_default();
    format!("{mark} {} {place}, in {}{target}, the oldest {}", group.count, group.phase, age(group.oldest_s))
}

fn table(chain: &Chain, most: usize) -> Table {
    let mut columns = Vec::new();
    for hop in &chain.hops {
        columns.extend([(&*hop.name, Align::Left), ("PHASE", Align::Left), ("AGE", Align::Right)]);
    }
    columns.extend([("CLIENT", Align::Left), ("→ TARGET", Align::Left)]);
    let mut table = Table::new(&columns);
    for row in chain.connections.iter().take(most) {
        let mut cells = Vec::new();
        for connection in &row.on {
            match connection {
                Some(there) => cells.extend([there.id.clone(), there.phase.clone(), age(there.age_s)]),
                None => cells.extend(["-".to_owned(), "-".to_owned(), "-".to_owned()]),
            }
        }
        let there = || row.on.iter().flatten();
        cells.push(there().next().map(conns::client).unwrap_or_default());
        cells.push(there().next_back().map(conns::target).unwrap_or_default());
        table.row(cells);
    }
    table
}

#[cfg(test)]
mod tests;
