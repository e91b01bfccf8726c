//! The PROXY header that a route sends: what is in it by default, and what is warned of.

use insta::assert_snapshot;
use proxy_bin::config::{HeaderContent, HeaderField, Ink, SendProxy, UnknownClient};

use crate::{ROUTE, good, in_route, refusal};

/// What the route with these lines sends.
fn sent(lines: &str) -> SendProxy {
    good(&format!("{ROUTE}{lines}")).settings.routes.route(0).unwrap().payload.send_proxy
}

fn content(lines: &str) -> HeaderContent {
    match sent(lines) {
        SendProxy::V2(content) => content,
        other @ (SendProxy::Off | SendProxy::V1 { .. }) => panic!("{other:?}"),
    }
}

fn fields(content: &HeaderContent) -> Vec<HeaderField> {
    let all = [HeaderField::UniqueId, HeaderField::Authority, HeaderField::Alpn];
    all.into_iter().filter(|field| content.fields.has(*field)).collect()
}

#[test]
fn by_default_it_is_one_that_every_receiver_takes() {
    let any = content("send_proxy = \"v2\"");
    assert_eq!((fields(&any), any.max_header), (vec![HeaderField::UniqueId], 107));
    assert_eq!(sent("send_proxy = \"v1\""), SendProxy::V1 { unknown_client: UnknownClient::OwnAddress });
}

#[test]
fn another_smartproxy_learns_everything() {
    let ours = content("send_proxy = \"v2\"\nnext_hop = \"smartproxy\"");
    assert_eq!((fields(&ours).len(), ours.max_header), (3, 4096));
    let v1 = sent("send_proxy = \"v1\"\nnext_hop = \"smartproxy\"");
    assert_eq!(v1, SendProxy::V1 { unknown_client: UnknownClient::Unknown });
}

#[test]
fn what_is_written_goes_over_what_follows_from_the_next_hop() {
    let lines =
        "send_proxy = \"v2\"\nnext_hop = \"smartproxy\"\nproxy_v2 = { fields = [], max_header = \"59B\" }";
    let bare = content(lines);
    assert_eq!((fields(&bare), bare.max_header), (Vec::new(), 59));
    let v1 = sent("send_proxy = \"v1\"\nproxy_v1 = { unknown_client = \"unknown\" }");
    assert_eq!(v1, SendProxy::V1 { unknown_client: UnknownClient::Unknown });
}

#[test]
fn settings_of_a_header_that_is_not_sent() {
    assert_snapshot!(in_route("next_hop = \"smartproxy\""), @r#"
error: `next_hop` needs `send_proxy = "v2"` or `"v1"`
 --> proxy.toml:6:12
  |
6 | next_hop = "smartproxy"
  |            ^^^^^^^^^^^^ this has no effect: without `send_proxy`, no header is sent
"#);
    assert_snapshot!(in_route("send_proxy = \"v2\"\nproxy_v1 = {}"), @r#"
error: `proxy_v1` needs `send_proxy = "v1"`
 --> proxy.toml:7:12
  |
6 | send_proxy = "v2"
  |              ---- no header of version 1 is sent
7 | proxy_v1 = {}
  |            ^^ this has no effect
"#);
    assert_snapshot!(in_route("send_proxy = \"v2\"\nproxy_v2 = { fields = [\"alpn\"], unique_id = \"own\" }"), @r#"
error: `unique_id` needs the field `unique_id`
 --> proxy.toml:7:45
  |
7 | proxy_v2 = { fields = ["alpn"], unique_id = "own" }
  |                       --------              ^^^^^ this has no effect
  |                       |
  |                       no id is sent
"#);
}

#[test]
fn too_short_for_the_addresses() {
    assert_snapshot!(in_route("send_proxy = \"v2\"\nproxy_v2 = { max_header = \"58B\" }"), @r#"
error: expected a size from 59B to 65551B, found 58B
 --> proxy.toml:7:27
  |
7 | proxy_v2 = { max_header = "58B" }
  |                           ^^^^^
"#);
}

#[test]
fn a_field_that_does_not_exist() {
    assert_snapshot!(in_route("send_proxy = \"v2\"\nproxy_v2 = { fields = [\"uniqueid\"] }"), @r#"
error: unknown value `uniqueid`
 --> proxy.toml:7:24
  |
7 | proxy_v2 = { fields = ["uniqueid"] }
  |                        ^^^^^^^^^^ did you mean `unique_id`?
  |
  = help: the values here are `unique_id`, `authority`, `alpn`, `ssl`
"#);
}

/// The warnings of a file whose route takes names and has these lines; `listener` goes before it.
fn warnings(listener: &str, matching: &str, lines: &str) -> String {
    let route = ROUTE.replace("ports = [8080]", &format!("ports = [8080]{matching}"));
    good(&format!("{listener}{route}{lines}")).warnings.render(Ink::Plain)
}

const BELIEVES: &str = "[[listeners]]\naccept_proxy = { required = [\"10.0.0.0/8\"] }\n";
const NAMES: &str = ", domains = [\"a.example\"]";

#[test]
fn what_may_not_fit_is_warned_of() {
    let named =
        "send_proxy = \"v2\"\nproxy_v2 = { fields = [\"unique_id\", \"authority\"], max_header = \"232B\" }";
    assert_snapshot!(warnings("", NAMES, named), @r#"
warning: the PROXY header of route "web" may have no room for all that it is to hold
 --> proxy.toml:7:64
  |
7 | proxy_v2 = { fields = ["unique_id", "authority"], max_header = "232B" }
  |                                                                ^^^^^^ it may come to 338 bytes, and max_header is 232B
  |
  = help: what does not fit is left out and counted, in this order: fields passed on, `alpn`, older ids, `authority`, `unique_id`; raise `max_header` as far as the receiver takes it (docs/receivers.md), or send less
"#);
    let passed_on = "send_proxy = \"v2\"\nproxy_v2 = { pass_unknown_tlvs = true }";
    assert_snapshot!(warnings(BELIEVES, "", passed_on), @r#"
warning: the PROXY header of route "web" may have no room for all that it is to hold
 --> proxy.toml:9:12
  |
9 | proxy_v2 = { pass_unknown_tlvs = true }
  |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ it may come to 4096 bytes, and max_header is 107B
  |
  = help: what does not fit is left out and counted, in this order: fields passed on, `alpn`, older ids, `authority`, `unique_id`; raise `max_header` as far as the receiver takes it (docs/receivers.md), or send less
"#);
    let received = "send_proxy = \"v2\"\nproxy_v2 = { unique_id = \"received\" }";
    assert_snapshot!(warnings(BELIEVES, "", received), @r#"
warning: the PROXY header of route "web" may have no room for all that it is to hold
 --> proxy.toml:9:12
  |
9 | proxy_v2 = { unique_id = "received" }
  |            ^^^^^^^^^^^^^^^^^^^^^^^^^^ it may come to 183 bytes, and max_header is 107B
  |
  = help: what does not fit is left out and counted, in this order: fields passed on, `alpn`, older ids, `authority`, `unique_id`; raise `max_header` as far as the receiver takes it (docs/receivers.md), or send less
"#);
}

#[test]
fn what_always_fits_is_not() {
    let v2 = "send_proxy = \"v2\"\n";
    for (listener, matching, lines) in [
        ("", "", ""),
        (BELIEVES, NAMES, ""),
        (BELIEVES, NAMES, "proxy_v2 = { crc32c = true }"),
        // Nobody tells a name or a protocol here, and no id comes from anywhere.
        (
            "",
            "",
            "proxy_v2 = { fields = [\"unique_id\", \"authority\", \"alpn\"], unique_id = \"received\" }",
        ),
        ("", "", "proxy_v2 = { pass_unknown_tlvs = true }"),
        (
            BELIEVES,
            NAMES,
            "next_hop = \"smartproxy\"\nproxy_v2 = { crc32c = true, pass_unknown_tlvs = true }",
        ),
        (BELIEVES, NAMES, "proxy_v2 = { fields = [\"unique_id\", \"authority\"], max_header = \"338B\" }"),
    ] {
        assert_eq!(warnings(listener, matching, &format!("{v2}{lines}")), "", "{lines}");
    }
}

#[test]
fn the_sum_is_reckoned_to_the_byte() {
    // 52 for two IPv6 addresses, 28 for an id of ours, 258 for a name.
    let fields = "send_proxy = \"v2\"\nproxy_v2 = { fields = [\"unique_id\", \"authority\"]";
    assert!(warnings("", NAMES, &format!("{fields}, max_header = \"337B\" }}")).contains("338 bytes"));
    assert_eq!(warnings("", NAMES, &format!("{fields}, max_header = \"338B\" }}")), "");
    assert!(
        warnings("", NAMES, &format!("{fields}, crc32c = true, max_header = \"344B\" }}")).contains("345")
    );
}

#[test]
fn the_mode_of_a_listener_is_one_of_three() {
    assert_snapshot!(refusal(&format!("[[listeners]]\naccept_proxy = {{ sometimes = [\"::1\"] }}\n{ROUTE}")), @r#"
error: unknown key `sometimes`
 --> proxy.toml:2:18
  |
2 | accept_proxy = { sometimes = ["::1"] }
  |                  ^^^^^^^^^ not a key that is known here
  |
  = help: the keys here are `required`, `required_from`, `optional`
"#);
}
