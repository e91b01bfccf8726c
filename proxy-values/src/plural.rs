//! Numbers of things in words.

/// `1 byte`, `2 bytes`: so many of `one` or `many`.
///
/// ```
/// use proxy_values::plural::count;
///
/// assert_eq!(count(1, "byte", "bytes"), "1 byte");
/// assert_eq!(count(0, "byte", "bytes"), "0 bytes");
/// ```
#[must_use]
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
