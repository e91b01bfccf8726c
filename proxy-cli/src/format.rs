//! Ages, sizes and tables, as people read them.

pub use proxy_values::plural::count;

/// An age or a time to go: three significant parts at most, such as `0.4s`, `28s`, `1m12s`, `2h05m` or `3d04h`.
#[must_use]
pub fn age(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "?".to_owned();
    }
    if seconds < 0.0 {
        return format!("-{}", age(-seconds));
    }
    // As it will be shown: 9.96 s is 10 s, not 10.0 s.
    if seconds < 9.95 {
        return format!("{seconds:.1}s");
    }
    let whole = std::time::Duration::from_secs_f64(seconds.min(1e12)).as_secs_f64().round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is at most 1e12, and not below 0"
    )]
    let whole = whole as u64;
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{seconds:02}s"),
        (0, _, _) => format!("{hours}h{minutes:02}m"),
        _ => format!("{days}d{hours:02}h"),
    }
}

/// The time of a dial: `0.3ms`, `30ms`, `1.2s`.
#[must_use]
pub fn fine(seconds: f64) -> String {
    let millis = seconds * 1e3;
    match millis {
        _ if millis < 9.95 => format!("{millis:.1}ms"),
        _ if millis < 999.5 => format!("{millis:.0}ms"),
        _ => age(seconds),
    }
}

/// A number of bytes, such as `512 B`, `3.4 KiB` or `120 MiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let mut size = count as f64;
    let mut unit = "B";
    for next in UNITS {
        unit = next;
        if size < 1023.5 {
            break;
        }
        size /= 1024.0;
    }
    if size < 9.95 { format!("{size:.1} {unit}") } else { format!("{size:.0} {unit}") }
}

/// So much of so much, such as `3 of 100`, or `3` where there is no limit.
#[must_use]
pub fn usage(usage: proxy_api::model::Usage) -> String {
    match usage.most {
        Some(most) => format!("{} of {most}", usage.used),
        None => usage.used.to_string(),
    }
}

/// A text that came from elsewhere: what would move the cursor or change colours is replaced.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A text in no more columns than that. Where it is too long its middle is left out, and the place is marked: names that
/// begin alike end differently, and an address ends with its port.
#[must_use]
pub fn shortened(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most || most == 0 {
        return text.to_owned();
    }
    let tail = (most - 1) / 2;
    let head: String = text.chars().take(most - 1 - tail).collect();
    let tail: String = text.chars().skip(length - tail).collect();
    format!("{head}…{tail}")
}

/// The same of a text of several lines, which may show a piece of a file.
#[must_use]
pub fn plain_lines(text: &str) -> String {
    let is_layout = |c: char| matches!(c, '\n' | '\t');
    text.chars().map(|c| if c.is_control() && !is_layout(c) { '\u{fffd}' } else { c }).collect()
}

/// What is known, or a dash.
#[must_use]
pub fn known(text: Option<&str>) -> &str {
    text.unwrap_or("-")
}

/// Where a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// At its left edge.
    Left,
    /// At its right edge: numbers.
    Right,
}

/// Rows under a header, in columns as wide as their widest cell.
#[derive(Debug)]
pub struct Table {
    aligns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this header.
    #[must_use]
    pub fn new(columns: &[(&str, Align)]) -> Self {
        Self {
            aligns: columns.iter().map(|(_, align)| *align).collect(),
            rows: vec![columns.iter().map(|(name, _)| (*name).to_owned()).collect()],
        }
    }

    /// Adds a row; cells beyond the header's are left out.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        self.rows.push(cells.into_iter().map(|cell| plain(cell.as_ref())).take(self.aligns.len()).collect());
    }

    /// Whether there is nothing under the header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.aligns.len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, align), width) in row.iter().zip(&self.aligns).zip(&widths) {
                let cell = match align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                };
                if !line.is_empty() {
                    line.push_str("  ");
                }
                line.push_str(&cell);
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// When something is tried again, so many seconds from now: `next try in 12s`, or `next try now`.
#[must_use]
pub fn next_try(seconds: f64) -> String {
    if seconds < 0.05 { "next try now".to_owned() } else { format!("next try in {}", age(seconds)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short_at_every_length() {
        for (seconds, text) in [
            (0.0, "0.0s"),
            (0.04, "0.0s"),
            (3.21, "3.2s"),
            (9.949, "9.9s"),
            (9.96, "10s"),
            (28.4, "28s"),
            (59.6, "1m00s"),
            (72.0, "1m12s"),
            (3599.9, "1h00m"),
            (7_500.0, "2h05m"),
            (273_600.0, "3d04h"),
            (-3.0, "-3.0s"),
            (f64::NAN, "?"),
        ] {
            assert_eq!(age(seconds), text);
        }
    }

    #[test]
    fn what_is_due_is_tried_now_and_not_in_no_seconds() {
        for (seconds, text) in [(-1.0, "next try now"), (0.04, "next try now"), (0.06, "next try in 0.1s")] {
            assert_eq!(next_try(seconds), text);
        }
    }

    #[test]
    fn dials_are_told_in_milliseconds() {
        for (seconds, text) in
            [(0.0003, "0.3ms"), (0.0099, "9.9ms"), (0.00996, "10ms"), (0.3, "300ms"), (0.9999, "1.0s")]
        {
            assert_eq!(fine(seconds), text);
        }
    }

    #[test]
    fn sizes_have_two_digits_or_three() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (3_482, "3.4 KiB"),
            (10_200, "10 KiB"),
            (1_048_500, "1.0 MiB"),
            (3_565_158, "3.4 MiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn what_does_not_fit_is_shortened_in_the_middle_and_says_so() {
        for (text, most, shown) in [
            ("web", 12, "web"),
            ("twelve-chars", 12, "twelve-chars"),
            ("service-with-long-name-01", 12, "servic…me-01"),
            ("[2001:db8:1234:5678:9abc::1]:40001", 20, "[2001:db8:…:1]:40001"),
            ("abc", 2, "a…"),
            ("abc", 1, "…"),
            ("ééééé", 4, "éé…é"),
        ] {
            let told = shortened(text, most);
            assert!(told.chars().count() <= most, "{told}");
            assert_eq!(told, shown);
        }
    }

    #[test]
    fn an_error_keeps_its_lines_and_passes_no_escape_sequence_on() {
        assert_eq!(plain_lines("a\n\tb \u{1b}[2J\r\u{7}"), "a\n\tb \u{fffd}[2J\u{fffd}\u{fffd}");
    }

    #[test]
    fn a_table_is_aligned_and_passes_no_escape_sequence_on() {
        let mut table = Table::new(&[("ID", Align::Left), ("AGE", Align::Right), ("NAME", Align::Left)]);
        table.row(["a-1", "3.2s", "ok"]);
        table.row(["a-10", "1m12s", "\u{1b}[2Jgone"]);
        insta::assert_snapshot!(table.to_string(), @r"
        ID      AGE  NAME
        a-1    3.2s  ok
        a-10  1m12s  �[2Jgone
        ");
    }
}
