//! Templates of configurations: names in braces, and lines that are only there on a condition.
//!
//! ```text
//! bind {listen}            the value of that name; braces around anything else stay as they are
//! #if accept_proxy         these lines only where the condition holds; also "#if not …"; they do not nest
//! #end
//! ```
//! All four languages of our templates have comments that start with `#`.

/// What stands for what in a template.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    pub(super) values: Vec<(&'static str, String)>,
    pub(super) conditions: Vec<(&'static str, bool)>,
}

impl Words {
    /// `template` with its names replaced and only the lines whose conditions hold.
    pub(super) fn fill(&self, template: &str) -> String {
        let (mut text, mut kept) = (String::with_capacity(template.len()), true);
        for line in template.lines() {
            match line.trim().strip_prefix('#').map(str::trim) {
                Some("end") => kept = true,
                Some(words) if words.starts_with("if ") => kept = self.holds(words.trim_start_matches("if ")),
                Some(_) | None if !kept => {}
                Some(_) | None => {
                    text.push_str(&self.replace(line));
                    text.push('\n');
                }
            }
        }
        text
    }

    /// The words of a command line. `{condition?word}` is a word only where the condition holds.
    pub(super) fn fill_command(&self, template: &str) -> Vec<String> {
        template.split_whitespace().filter_map(|word| self.fill_word(word)).collect()
    }

    fn fill_word(&self, word: &str) -> Option<String> {
        let conditional = word.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match conditional.and_then(|rest| rest.split_once('?')) {
            Some((condition, word)) if self.holds(condition) => Some(self.replace(word)),
            Some(_) => None,
            None => Some(self.replace(word)),
        }
    }

    fn holds(&self, condition: &str) -> bool {
        let (name, wanted) = match condition.strip_prefix("not ") {
            Some(name) => (name, false),
            None => (condition, true),
        };
        // A condition that nobody has set does not hold.
        let holds = self.conditions.iter().any(|(known, holds)| *known == name && *holds);
        holds == wanted
    }

    fn replace(&self, text: &str) -> String {
        let values = self.values.iter();
        values.fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        let values = vec![("listen", "127.0.0.1:1".to_owned()), ("listen_port", "1".to_owned())];
        Words { values, conditions: vec![("accept_proxy", true), ("send_proxy", false)] }
    }

    #[test]
    fn names_are_replaced_and_other_braces_stay() {
        assert_eq!(words().fill("a { {listen} } {listen_port} {unknown}"), "a { 127.0.0.1:1 } 1 {unknown}\n");
    }

    #[test]
    fn lines_depend_on_conditions() {
        let template = "# kept\n#if accept_proxy\nyes\n#end\n#if send_proxy\nno\n#end\n  #if not send_proxy\nyes too\n#end\nend\n";
        assert_eq!(words().fill(template), "# kept\nyes\nyes too\nend\n");
    }

    #[test]
    fn words_of_a_command_depend_on_conditions_too() {
        let words = words().fill_command("proxy --at={listen} {accept_proxy?--accept} {send_proxy?--send}");
        assert_eq!(words, ["proxy", "--at=127.0.0.1:1", "--accept"]);
    }
}
