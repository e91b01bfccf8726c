//! Round trips of larger and larger messages, on 16 connections.

use super::{BOUND, Cells, Run};

const SIZES: [u64; 6] = [64, 1 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];
const CONNECTIONS: u32 = 16;
/// Bytes each way in a measurement, and at most so many messages.
const BYTES: u64 = 800_000_000;
const MESSAGES: u64 = 50_000;

pub(super) fn table(run: &mut Run) -> anyhow::Result<String> {
    let mut cells = Cells::default();
    let (bytes, messages) = (run.amount(BYTES), run.amount(MESSAGES));
    for round in 1..=run.rounds {
        for (nth, proxy) in run.proxies.clone().into_iter().enumerate() {
            eprintln!("payload: round {round}, {proxy}");
            let up = run.start(proxy)?;
            run.bench.load.bound(BOUND);
            run.bench.load.idle(up.addr, CONNECTIONS)?;
            for size in SIZES {
                let count = (bytes / size).min(messages);
                run.round_trips(&up, CONNECTIONS, count / 10 + 1, size)?;
                let each = run.round_trips(&up, CONNECTIONS, count, size)?;
                cells.push(size, 2 * nth, each);
                // Microseconds for so many bytes there and as many back.
                cells.push(size, 2 * nth + 1, each / 1e3 / (2.0 * size as f64 / 1e9));
            }
            run.bench.load.close()?;
        }
    }
    let columns: Vec<_> = run
        .proxies
        .iter()
        .flat_map(|proxy| [(format!("{proxy}, µs a round trip"), 1), (format!("{proxy}, ms/GB relayed"), 0)])
        .collect();
    let size = |bytes| match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    };
    Ok(cells.table("CPU for round trips of larger messages, on 16 connections", "message", &columns, size))
}
