//! What is not TOML at all.

use insta::assert_snapshot;

use crate::refusal;

#[test]
fn a_string_without_its_end() {
    assert_snapshot!(refusal("workers = 2\n[log]\nlevel = \"info\nformat = \"text\"\n"), @r#"
error: invalid basic string
 --> proxy.toml:3:14
  |
3 | level = "info
  |              ^ expected `"`
"#);
}

#[test]
fn a_key_without_a_value() {
    assert_snapshot!(refusal("workers =\n"), @"
error: a value is missing
 --> proxy.toml:1:10
  |
1 | workers =
  |          ^
");
}

#[test]
fn a_word_without_quotes() {
    assert_snapshot!(refusal("[log]\nlevel = info\n"), @r#"
error: a word has to be in quotes
 --> proxy.toml:2:9
  |
2 | level = info
  |         ^^^^ write "info"
"#);
}

#[test]
fn a_key_twice() {
    assert_snapshot!(refusal("workers = 1\nworkers = 2\n"), @"
error: duplicate key
 --> proxy.toml:2:1
  |
2 | workers = 2
  | ^^^^^^^
");
}

#[test]
fn a_table_twice() {
    assert_snapshot!(refusal("[log]\nlevel = \"info\"\n[log]\nformat = \"text\"\n"), @"
error: duplicate key
 --> proxy.toml:3:2
  |
3 | [log]
  |  ^^^
");
}

#[test]
fn several_at_once() {
    assert_snapshot!(refusal("workers = \n[log\nlevel = info\n[dns]\nttl = \"30s\n"), @r#"
error: a value is missing
 --> proxy.toml:1:11
  |
1 | workers = 
  |           ^

error: unclosed table
 --> proxy.toml:2:5
  |
2 | [log
  |     ^ expected `]`

error: invalid basic string
 --> proxy.toml:5:11
  |
5 | ttl = "30s
  |           ^ expected `"`
"#);
}

#[test]
fn not_text() {
    assert_snapshot!(refusal("workers = \u{1}\n"), @"
error: string values must be quoted
 --> proxy.toml:1:11
  |
1 | workers = ␁
  |           ^ expected literal string
");
}
