//! Round trips while more and more connections are open: on 64 of them, then on all.

use super::{BOUND, Cells, Run, count};

const SIZES: [u32; 5] = [10, 100, 1_000, 4_000, 8_000];
const ACTIVE: u32 = 64;
const MESSAGE: u64 = 100;
const ROUND_TRIPS: u64 = 100_000;

pub(super) fn table(run: &mut Run) -> anyhow::Result<String> {
    let mut cells = Cells::default();
    let round_trips = run.amount(ROUND_TRIPS);
    for round in 1..=run.rounds {
        for (nth, proxy) in run.proxies.clone().into_iter().enumerate() {
            eprintln!("connections: round {round}, {proxy}");
            let up = run.start(proxy)?;
            let mut open = 0;
            for size in SIZES {
                run.bench.load.bound(BOUND);
                run.bench.load.idle(up.addr, size - open)?;
                open = size;
                for (column, active) in [(2 * nth, size.min(ACTIVE)), (2 * nth + 1, size)] {
                    run.round_trips(&up, active, round_trips / 10, MESSAGE)?;
                    let each = run.round_trips(&up, active, round_trips, MESSAGE)?;
                    cells.push(size.into(), column, each);
                }
            }
            run.bench.load.close()?;
        }
    }
    let columns: Vec<_> = run
        .proxies
        .iter()
        .flat_map(|proxy| [(format!("{proxy}, on {ACTIVE} of them"), 2), (format!("{proxy}, on all"), 2)])
        .collect();
    Ok(cells.table("CPU µs for each 100 B round trip", "connections open", &columns, count))
}
