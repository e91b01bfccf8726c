//! What becomes of events, and of a changed `[log]`.

use super::*;
use tracing::info;

/// A log that writes to a file, and what `events` come to in it. The shape is that of no terminal.
fn written(config: &Log, events: impl FnOnce(&Logs)) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    let logs = Logs(Shared::start(config, Sink::open(file.path(), None).unwrap(), None).unwrap());
    let subscriber = tracing_subscriber::registry().with(Lines::new(Arc::clone(&logs.0)));
    tracing::subscriber::with_default(subscriber, || {
        events(&logs);
        drop(LogEnd(logs));
    });
    std::fs::read_to_string(file.path()).unwrap()
}

fn json() -> Log {
    Log { format: LogFormat::Json, ..Log::default() }
}

#[test]
fn a_storm_of_warnings_is_one_line_and_a_count_of_each_kind() {
    let lines = written(&json(), |_| {
        for n in 0..1000 {
            let listener = if n % 4 == 0 { "a" } else { "b" };
            warn!(listener, n, "cannot accept; will try again");
        }
    });
    let count = |text: &str| lines.lines().filter(|line| line.contains(text)).count();
    assert_eq!((count("\"message\":\"cannot accept"), count("again: cannot accept")), (2, 2), "{lines}");
    assert!(lines.contains("\"times\":249,") && lines.contains("\"times\":749,"), "{lines}");
}

#[test]
fn what_is_no_warning_is_written_each_time() {
    let lines = written(&json(), |_| (0..100).for_each(|_| info!("listening")));
    assert_eq!(lines.lines().count(), 100);
}

#[test]
fn the_level_changes_while_it_runs() {
    let lines = written(&json(), |logs| {
        for level in [LogLevel::Info, LogLevel::Warn, LogLevel::Debug] {
            logs.set_level(level);
            assert_eq!(logs.level(), level);
            info!("at {}", level.name());
            tracing::debug!("below {}", level.name());
        }
    });
    let said: Vec<_> = ["at info", "below info", "at warn", "below warn", "at debug", "below debug"]
        .into_iter()
        .filter(|text| lines.contains(text))
        .collect();
    assert_eq!(said, ["at info", "at debug", "below debug"]);
}

#[test]
fn a_change_of_everything_and_one_that_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let to = |name: &str| Log { access: AccessTo::File(dir.path().join(name)), ..json() };
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let end = |id: u32| info!(target: "smartproxy::access", id, "connection ended");
    let lines = written(&Log { level: LogLevel::Warn, ..Log::default() }, |logs| {
        end(1);
        assert!(logs.prepare(&to("nowhere/access.log")).is_err());
        assert!(logs.prepare(&Log { level: LogLevel::Warn, ..Log::default() }).unwrap().is_none());
        logs.apply(logs.prepare(&to("access.log")).unwrap().unwrap());
        end(2);
        info!("two");
        logs.apply(
            logs.prepare(&Log { access_format: Some(LogFormat::Text), ..to("access.log") }).unwrap().unwrap(),
        );
        end(3);
        logs.apply(logs.prepare(&Log { access: AccessTo::Off, ..json() }).unwrap().unwrap());
        end(4);
    });
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert!(lines.contains("\"message\":\"two\""), "{lines}");
    let written = || read("access.log").lines().count() == 2;
    let until = std::time::Duration::from_secs(10);
    let start = Instant::now();
    while !written() && start.elapsed() < until {
        std::thread::yield_now();
    }
    let ends = read("access.log");
    let lines: Vec<_> = ends.lines().collect();
    assert!(
        matches!(lines.as_slice(), [json, text]
        if json.contains("\"id\":2") && text.contains("connection ended id=3")),
        "{ends}"
    );
}

#[test]
fn a_record_is_one_line_whatever_it_says() {
    let lines = written(&Log::default(), |_| warn!("it says \"hello\nworld\"\n  and more"));
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert!(lines.contains("it says \"hello\\nworld\"\\n  and more\n"), "{lines}");
}
