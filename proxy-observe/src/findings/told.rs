//! Figures in sentences, and names in commands.

use std::time::Duration;

use crate::subject::Subject;

/// `1 connection`, `7 connections`.
pub(crate) fn connections(count: u64) -> String {
    if count == 1 { "1 connection".to_owned() } else { format!("{count} connections") }
}

/// In whole percent.
pub(crate) fn percent(of: f64) -> String {
    format!("{of:.0} %")
}

/// Whole seconds; what is finer below ten, and milliseconds below one.
pub(crate) fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        1..10 => format!("{:.1} s", time.as_secs_f64()),
        whole => format!("{whole} s"),
    }
}

/// As one word of a shell.
pub(crate) fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@,+=".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', r"'\''"))
    }
}

/// The options of `conns` and `kill` that name it; empty for what is no connection's.
pub(crate) fn filter(subject: &Subject) -> String {
    match subject {
        Subject::Route(name) => format!(" --route {}", quoted(name)),
        Subject::Target { of, target } => match of.strip_prefix('@') {
            Some(_) => format!(" --target {}", quoted(target)),
            None => format!(" --route {} --target {}", quoted(of), quoted(target)),
        },
        Subject::Listener(name) => format!(" --listener {}", quoted(name)),
        Subject::Pool(name) => format!(" --pool {}", quoted(name)),
        Subject::Process | Subject::Limit(_) | Subject::Hop(_) | Subject::Worker(_) => String::new(),
    }
}

/// The command that takes a target out; for others, in words.
pub(crate) fn drain(subject: &Subject) -> Option<String> {
    match subject {
        Subject::Route(name) => Some(format!("smartproxy drain route {}", quoted(name))),
        Subject::Target { target, .. } => Some(format!("smartproxy drain target {}", quoted(target))),
        Subject::Listener(name) => Some(format!("smartproxy drain listener {}", quoted(name))),
        Subject::Process | Subject::Pool(_) | Subject::Limit(_) | Subject::Hop(_) | Subject::Worker(_) => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_of_a_shell() {
        assert_eq!(quoted("10.0.0.1:80"), "10.0.0.1:80");
        assert_eq!(quoted("two words"), "'two words'");
        assert_eq!(quoted("[::1]:80"), "'[::1]:80'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("$(reboot)"), "'$(reboot)'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn a_subject_is_filtered_by_what_its_connections_name() {
        let target = |of: &str| Subject::Target { of: of.into(), target: "10.0.0.1:80".into() };
        assert_eq!(filter(&target("web")), " --route web --target 10.0.0.1:80");
        assert_eq!(filter(&target("@inner")), " --target 10.0.0.1:80");
        assert_eq!(filter(&Subject::Process), "");
        assert_eq!(drain(&target("web")).as_deref(), Some("smartproxy drain target 10.0.0.1:80"));
    }
}
