//! When a certificate of ninety days is renewed, and how long is waited after failures: `cargo run -p proxy-acme --example schedule`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::time::{Duration, SystemTime};

use proxy_acme::{Lesson, Record, Storage, next_try, renew_at};

const DAY: u64 = 24 * 3600;

fn main() -> Result<(), Box<dyn Error>> {
    let now = SystemTime::now();
    let until = now + Duration::from_secs(90 * DAY);
    let earliest = renew_at(now, until, None, 1.0).duration_since(now)?;
    let latest = renew_at(now, until, None, 0.0).duration_since(now)?;
    println!("renewed between day {} and day {}", earliest.as_secs() / DAY, latest.as_secs() / DAY);
    for failures in 1..=6 {
        let lesson = Lesson { failures, ..Lesson::default() };
        println!("after failure {failures}: {} s", next_try(now, lesson, 0.0).duration_since(now)?.as_secs());
    }
    let folder = std::env::temp_dir().join(format!("schedule-{}", std::process::id()));
    let storage = Storage::open(&folder)?;
    storage.keep_record("edge.example", &Record { failures: 2, ..Record::default() })?;
    let lock = storage.lock("edge.example")?;
    println!("locked: {}, failures: {}", lock.is_some(), storage.record("edge.example")?.failures);
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
