//! Short connections while the configuration has more and more routes, all on one port.
//!
//! 200 of the routes are for one client of the load each, the others for clients that never come; the last one takes
//! whoever is left.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use super::{BOUND, Cells, Run, count};
use crate::clock;
use crate::peers::{Proxy, Setting};

const SIZES: [u32; 5] = [10, 100, 1_000, 10_000, 100_000];
const CONNECTIONS: u64 = 20_000;
const AT_ONCE: u32 = 64;
/// Clients of the load that have a route.
const KNOWN: u32 = 200;

pub(super) fn table(run: &mut Run) -> anyhow::Result<String> {
    let mut cells = Cells::default();
    let count_of = u32::try_from(run.amount(CONNECTIONS)).unwrap_or(u32::MAX);
    for round in 1..=run.rounds {
        for size in SIZES {
            eprintln!("routes: round {round}, {size}");
            let cores = [run.bench.cores.proxy];
            let setting = Setting::on(&cores);
            let (start, backends) = (clock::now(), run.bench.load.backends());
            let up = run.bench.starter.start_with(
                Proxy::Smartproxy,
                backends,
                &setting,
                Some(&routes(size - 1)),
            )?;
            let (started, resident) = (start.elapsed(), up.tree.resident());
            let load = &mut run.bench.load;
            load.bound(BOUND);
            load.short(up.addr, count_of / 10, AT_ONCE)?;
            let before = up.tree.cpu();
            load.short(up.addr, count_of, AT_ONCE)?;
            load.until_quiet()?;
            load.rest(std::time::Duration::from_millis(20))?;
            let each = (up.tree.cpu() - before).as_secs_f64() * 1e6 / f64::from(count_of);
            cells.push(size.into(), 0, each);
            cells.push(size.into(), 1, started.as_secs_f64() * 1e3);
            cells.push(size.into(), 2, resident as f64 / f64::from(1 << 20));
        }
    }
    let columns = [("CPU µs/connection", 1), ("ms to start", 0), ("MiB resident at start", 1)];
    let columns = columns.map(|(title, decimals)| (title.to_owned(), decimals));
    Ok(cells.table("Short connections with more routes", "routes", &columns, count))
}

/// `size` routes more, for the template.
fn routes(size: u32) -> String {
    let mut text = String::new();
    for nth in 0..size {
        let base = if nth < KNOWN { 0x7F00_0002 } else { 0x0A00_0000 };
        let client = Ipv4Addr::from(base + nth);
        let matches = format!("match = {{ ports = [{{listen_port}}], clients = [\"{client}/32\"] }}");
        writeln!(
            text,
            "[[routes]]\nname = \"route{nth}\"\n{matches}\naction = {{ forward = [\"{{target}}\"] }}"
        )
        .unwrap_or_default();
    }
    text
}
