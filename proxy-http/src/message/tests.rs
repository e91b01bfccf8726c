//! What goes on and what does not.

use super::*;

fn parts(version: Version, fields: &[(&str, &str)]) -> Parts {
    let mut request = Request::new(());
    *request.version_mut() = version;
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
    }
    request.into_parts().0
}

const ORIGIN: Origin<'static> = Origin {
    client: Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7))),
    local: None,
    is_secure: true,
    is_trusted: false,
    request_id: "0a-1.1",
    via: "edge",
};

fn told(fields: &[(&str, &str)], origin: &Origin<'_>) -> String {
    let host = HeaderValue::from_static("a.example");
    let request = onward(&parts(Version::HTTP_11, fields), "/x?y", &host, origin, Upload::none()).unwrap();
    let mut lines: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    lines.sort();
    lines.join("\n")
}

#[test]
fn fields_of_one_hop_stay_there() {
    let fields = [
        ("host", "b.example"),
        ("connection", "close, X-Mine"),
        ("x-mine", "1"),
        ("keep-alive", "5"),
        ("proxy-connection", "close"),
        ("te", "trailers;q=0.5, gzip"),
        ("upgrade", "h2c"),
        ("accept", "a"),
        ("accept", "b"),
    ];
    insta::assert_snapshot!(told(&fields, &ORIGIN), @r#"
    accept: a
    accept: b
    forwarded: for=192.0.2.7;host="a.example";proto=https
    host: a.example
    te: trailers
    via: 1.1 edge
    x-forwarded-for: 192.0.2.7
    x-forwarded-host: a.example
    x-forwarded-proto: https
    x-request-id: 0a-1.1
    "#);
}

#[test]
fn what_is_told_of_a_client_by_itself_is_not_believed_and_by_a_hop_it_is() {
    let fields = [
        ("x-forwarded-for", "198.51.100.1"),
        ("x-forwarded-proto", "http"),
        ("x-real-ip", "198.51.100.1"),
        ("x-request-id", "mine"),
        ("forwarded", "for=198.51.100.1"),
        ("via", "1.1 before"),
    ];
    let of = |name: &str, origin| {
        let told = told(&fields, origin);
        told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(of("x-forwarded-for", &ORIGIN), some("192.0.2.7"));
    assert_eq!((of("x-real-ip", &ORIGIN), of("x-request-id", &ORIGIN)), (None, some("0a-1.1")));
    assert_eq!(of("via", &ORIGIN), some("1.1 before, 1.1 edge"));
    let trusted = Origin { is_trusted: true, ..ORIGIN };
    assert_eq!(of("x-forwarded-for", &trusted), some("198.51.100.1, 192.0.2.7"));
    assert_eq!(
        (of("x-forwarded-proto", &trusted), of("x-request-id", &trusted)),
        (some("http"), some("mine"))
    );
    assert_eq!(
        of("forwarded", &trusted),
        some("for=198.51.100.1, for=192.0.2.7;host=\"a.example\";proto=https")
    );
}

#[test]
fn another_protocol_is_asked_for_where_the_client_does() {
    let asks = [("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")];
    assert!(
        told(&asks, &ORIGIN).contains("connection: upgrade")
            && told(&asks, &ORIGIN).contains("upgrade: websocket")
    );
    assert!(!told(&[("upgrade", "websocket")], &ORIGIN).contains("upgrade"));
    assert_eq!(asks_to_switch(&parts(Version::HTTP_10, &asks)), None);
}

#[test]
fn an_answer_goes_back_without_what_is_of_one_hop() {
    let mut answer = Response::new(());
    for (name, value) in
        [("connection", "close, x-mine"), ("x-mine", "1"), ("transfer-encoding", "chunked"), ("server", "s")]
    {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let answer = backward(answer, "edge");
    let names: Vec<_> = answer.headers().keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["server", "via"]);
}
