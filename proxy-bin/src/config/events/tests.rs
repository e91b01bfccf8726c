use proptest::prelude::*;
use serde::Deserialize;
use toml::de::{DeTable, ValueDeserializer};

use super::*;

/// Every kind of value that routes have, and some that they do not.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(default)]
    number: i32,
    #[serde(default)]
    is: bool,
    list: Option<Vec<String>>,
    nested: Option<Vec<Vec<u8>>>,
    inner: Option<Inner>,
    word: Option<Word>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    a: u16,
    #[serde(default)]
    b: Vec<Inner>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    One,
    Two,
}

fn passing(text: &str) -> Result<Row, Unusual> {
    Events::default().read("rows", text)
}

/// What the tree says, as it is read where there is one.
fn by_tree(text: &str) -> Option<Row> {
    let mut table = DeTable::parse(text).ok()?.into_inner();
    let rows = table.remove("rows")?;
    let rows: Vec<Row> = Deserialize::deserialize(ValueDeserializer::from(rows)).ok()?;
    table.is_empty().then(|| rows.into_iter().next()).flatten()
}

#[track_caller]
fn same(lines: &str) {
    let text = format!("[[rows]]\nname = \"x\"\n{lines}");
    let row = passing(&text).unwrap_or_else(|_| panic!("{text} is usual"));
    assert_eq!(Some(row), by_tree(&text), "{text}");
}

#[track_caller]
fn unusual(lines: &str) {
    let text = format!("[[rows]]\nname = \"x\"\n{lines}");
    assert_eq!(passing(&text), Err(Unusual), "{text}");
}

#[test]
fn what_is_read_in_passing_is_what_the_tree_says() {
    same("");
    same("number = -7\nis = true\nword = \"two\" # and a comment\n");
    same("number = 0xFF\n");
    same("number = 1_000\n");
    same("list = []\n");
    same("list = [\"a\", 'b', \"\\u00e9\\n\", ]\n");
    same("list = [ # one\n  \"a\",\n\n  # two\n  \"\"\"b\nc\"\"\"\n]\n");
    same("nested = [[1, 2], [], [3]]\n");
    same("inner = { a = 1, b = [{ a = 2 }, { b = [], a = 3 }] }\n");
    same("\"is\" = true\n'number' = 3\n");
    same("[rows.inner]\na = 1\n\"b\" = [\n]\n");
    same("  number = 1\r\n  [ rows . inner ] # here\r\n  a = 1\r\n");
}

#[test]
fn what_is_unusual_or_wrong_is_left_to_the_tree() {
    for lines in [
        "number = 1.5\n",
        "number = 99999999999\n",
        "number = 99999999999999999999\n",
        "is = 1979-05-27\n",
        "list = \"a\"\n",
        "inner = [1]\n",
        "inner.a = 1\n",
        "word = { one = {} }\n",
        "[rows.inner]\nb = []\n",
        "[rows.inner.b]\na = 1\n",
        "inner = { a = 1 }\n[rows.inner]\na = 1\n",
        "[[rows.list]]\n",
        "[[rows]]\nname = \"y\"\n",
        "[other]\n",
        "[other.inner]\na = 1\n",
        "other = 1\n",
        "name = \"y\"\n",
        "[rows.inner]\na = 1\n[rows.inner]\na = 1\n",
        "inner = { a = 1, a = 2 }\n",
        "list = [\"a\"\n",
        "list = \"\"\"\n",
        "number = \n",
        "list = [\"a\" \"b\"]\n",
        "is = true false\n",
        "# a \u{1} in a comment\n",
        "\u{feff}is = true\n",
    ] {
        unusual(lines);
    }
    unusual(&format!("list = {}{}\n", "[".repeat(9_000), "]".repeat(9_000)));
    assert_eq!(passing("name = \"x\"\n"), Err(Unusual));
    assert_eq!(passing("[[others]]\nname = \"x\"\n"), Err(Unusual));
    assert_eq!(passing("[rows]\nname = \"x\"\n"), Err(Unusual));
    assert_eq!(passing(""), Err(Unusual));
}

#[test]
fn one_reader_reads_many() {
    let mut events = Events::default();
    for n in 0..3 {
        let text = format!("[[rows]]\nname = \"{n}\"\nnumber = {n}\n");
        assert_eq!(events.read::<Row>("rows", &text).unwrap().number, n);
        assert_eq!(events.read::<Row>("rows", "[[rows]]\nname = "), Err(Unusual));
    }
}

proptest! {
    #[test]
    fn whatever_is_read_is_what_the_tree_says(
        parts in prop::collection::vec(prop::sample::select(vec![
            "name = \"x\"\n", "is = ", "true", "\n", "number = 1\n", "list = ", "[", "]", "{", "}", "\"a\"", ", ", "inner = ",
            "{ a = 1 }", "a = 2\n", "[rows.inner]\n", "[[rows]]\n", "word = \"one\"\n", "'''", "\"\"\"", "#", ".", "=", " ", "1",
            "rows", "a = 1\n", "b = []\n",
        ]), 0..12),
    ) {
        let text = format!("[[rows]]\nname = \"x\"\n{}", parts.concat());
        if let Ok(row) = passing(&text) {
            prop_assert_eq!(Some(row), by_tree(&text), "{}", text);
        }
    }
}
