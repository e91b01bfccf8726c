//! What was probably meant.

/// The known name that is nearest to one that is not known, if any is near.
///
/// `connectionTimeout` and `connection-timeout` count as `connection_timeout`: the first is how SmartProxy's settings
/// were written before there was a file.
#[must_use]
pub fn nearest<'n>(name: &str, known: &'n [impl AsRef<str>]) -> Option<&'n str> {
    let name = snake(name);
    // One slip for each three letters, as cargo allows its subcommands.
    let most = (name.chars().count() / 3).max(1);
    known
        .iter()
        .map(AsRef::as_ref)
        .map(|candidate| (distance(&name, candidate), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The known name that this one is, perhaps in another case or with another separator.
#[must_use]
pub fn same<'n>(name: &str, known: &'n [impl AsRef<str>]) -> Option<&'n str> {
    let name = snake(name);
    known.iter().map(AsRef::as_ref).find(|candidate| *candidate == name)
}

/// A name that the other begins with is one slip away: `warning` for `warn`, `conn` for `connection_timeout`.
fn distance(name: &str, candidate: &str) -> usize {
    let part =
        name.len().min(candidate.len()) >= 3 && (name.starts_with(candidate) || candidate.starts_with(name));
    if part { 1 } else { strsim::damerau_levenshtein(name, candidate) }
}

fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut after_lower = false;
    for letter in name.chars() {
        if letter.is_uppercase() && after_lower {
            snake.push('_');
        }
        after_lower = letter.is_lowercase();
        if letter == '-' { snake.push('_') } else { snake.extend(letter.to_lowercase()) }
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_another_case_and_another_separator_are_near() {
        let known = ["connection_timeout", "idle", "v1"];
        for name in ["conection_timeout", "connectionTimeout", "connection-timeout", "ConnectionTimeout"] {
            assert_eq!(nearest(name, &known), Some("connection_timeout"), "{name}");
        }
        assert_eq!(nearest("idel", &known), Some("idle"));
        assert_eq!(nearest("v3", &known), Some("v1"));
        assert_eq!(nearest("conn", &known), Some("connection_timeout"));
        assert_eq!(nearest("idle_time", &known), Some("idle"));
    }

    #[test]
    fn what_is_far_is_not_offered() {
        assert_eq!(nearest("colour", &["connection_timeout", "idle"]), None);
        assert_eq!(nearest("", &["idle"]), None);
    }
}
