//! Keeps what a program counts, asks for the last minute, and hands it on.
#![expect(clippy::print_stdout, reason = "an example")]

use std::error::Error;
use std::time::{Duration, SystemTime};

use proxy_observe::{Figure, History, Past, Picture, Reading, Span, Subject};

fn main() -> Result<(), Box<dyn Error>> {
    let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let mut history = History::new(started);
    let mut reading = Reading::default();
    for second in 1..=90 {
        reading.totals.opened += 3;
        reading.open = reading.totals.opened;
        let mut picture = Picture::default();
        picture.at = Duration::from_secs(second);
        picture.readings = vec![(Subject::Process, reading.clone())];
        history.push(&picture);
    }
    let minute = history.change(&Subject::Process, Figure::Opened, Duration::from_secs(60));
    println!("within the last minute: {minute:?}");
    // In the program that takes this one's place:
    let history = History::restore(&history.save(), started + Duration::from_secs(90))?;
    let series = history.series(&Subject::Process, Span::TenMinutes);
    println!("handed on: {} seconds", series.map_or(0, |series| series.steps.len()));
    Ok(())
}
