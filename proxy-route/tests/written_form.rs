//! The written form through serde, and the schema that describes it.
#![cfg(feature = "schemars")]
#![cfg_attr(
    feature = "schemars",
    expect(clippy::unwrap_used, reason = "a failed assumption of a test is its failure")
)]

use insta::assert_snapshot;
use proxy_route::{Alpn, Match, PortRange};

fn refusal(json: &str) -> String {
    serde_json::from_str::<Match>(json).unwrap_err().to_string()
}

#[test]
fn a_match_reads_as_it_is_written() {
    let json =
        r#"{"ports":[443,"8000-8010"],"domains":["*.a.com"],"clients":["10.0.0.0/8","::1"],"alpn":["h2"]}"#;
    let read: Match = serde_json::from_str(json).unwrap();
    assert_eq!(read.ports, ["443".parse::<PortRange>().unwrap(), "8000-8010".parse().unwrap()]);
    assert_eq!(read.alpn, ["h2".parse::<Alpn>().unwrap()]);
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
}

#[test]
fn only_ports_are_required() {
    let json = r#"{"ports":["443"]}"#;
    let read: Match = serde_json::from_str(json).unwrap();
    assert_eq!(read, Match::on(["443".parse().unwrap()]));
    assert_eq!(serde_json::to_string(&read).unwrap(), r#"{"ports":[443]}"#);
}

#[test]
fn refusals_say_what_was_expected() {
    assert_snapshot!(refusal("{}"), @"missing field `ports` at line 1 column 2");
    assert_snapshot!(refusal(r#"{"port":[443]}"#), @"unknown field `port`, expected one of `ports`, `domains`, `clients`, `alpn` at line 1 column 7");
    assert_snapshot!(refusal(r#"{"ports":[0]}"#), @"port 0 can not be routed: ports run from 1 to 65535 at line 1 column 11");
    assert_snapshot!(refusal(r#"{"ports":[65536]}"#), @"port 65536 does not exist: ports run from 1 to 65535 at line 1 column 15");
    assert_snapshot!(refusal(r#"{"ports":[-1]}"#), @"port -1 does not exist: ports run from 1 to 65535 at line 1 column 12");
    assert_snapshot!(refusal(r#"{"ports":[true]}"#), @r#"invalid type: boolean `true`, expected a port from 1 to 65535, such as 443, or a range of ports, such as "8000-8010" at line 1 column 14"#);
    assert_snapshot!(refusal(r#"{"ports":["9-1"]}"#), @r#"port range 9-1 runs backwards: write "1-9" at line 1 column 15"#);
    assert_snapshot!(refusal(r#"{"ports":[1],"domains":[1]}"#), @r#"invalid type: integer `1`, expected a domain such as "api.example.com", "*.example.com" or "*" at line 1 column 25"#);
    assert_snapshot!(refusal(r#"{"ports":[1],"clients":[1]}"#), @r#"invalid type: integer `1`, expected a network such as "10.0.0.0/8" or an IP address at line 1 column 25"#);
    assert_snapshot!(refusal(r#"{"ports":[1],"alpn":[1]}"#), @r#"invalid type: integer `1`, expected an ALPN protocol name such as "h2" at line 1 column 22"#);
}

// Not a snapshot: the order of its keys depends on features that other crates may turn on.
#[test]
fn the_schema_describes_every_field() {
    let schema = serde_json::to_value(schemars::schema_for!(Match)).unwrap();
    assert_eq!(schema["required"], serde_json::json!(["ports"]));
    assert_eq!(schema["additionalProperties"], false);
    for (field, pattern) in
        [("ports", "PortRange"), ("domains", "DomainPattern"), ("clients", "ClientNet"), ("alpn", "Alpn")]
    {
        let described = &schema["properties"][field];
        assert!(described["description"].as_str().is_some_and(|text| text.ends_with('.')), "{field}");
        assert_eq!(described["items"]["$ref"], format!("#/$defs/{pattern}"));
        let pattern = &schema["$defs"][pattern];
        assert!(pattern["description"].is_string() && pattern["examples"].is_array(), "{pattern}");
    }
    assert_eq!(schema["properties"]["ports"]["minItems"], 1);
    assert_eq!(schema["$defs"]["PortRange"]["anyOf"][0]["maximum"], 65_535);
}
