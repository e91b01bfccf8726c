//! What the next hop is told.

use proxy_conn::Trail;
use proxy_core::header::{Command, Decoded, Header, HeaderLimits, Outgoing, Tlvs, decode, encode_v2};

use super::*;

/// A hop that wants a header from 10.0.0.0/8, and whose route has these lines.
fn hop(route: &str) -> Rig {
    Rig::new(&CHAINED.replace("send_proxy = \"v1\"\n", route))
}

/// What a hop with these lines sends its backend for a client of which its own peer said `header`.
async fn told(rig: &Rig, header: &[u8]) -> Vec<u8> {
    let (listener, (client, _task)) = (rig.backend(), rig.spawn());
    write_all(&client, header).await.unwrap();
    let (backend, _) = listener.accept().await.unwrap();
    let mut buffer = vec![0; 4096];
    let n = read(&backend, &mut buffer).await.unwrap();
    buffer.truncate(n);
    buffer
}

async fn line(route: &str, header: &[u8]) -> String {
    String::from_utf8(told(&hop(route), header).await).unwrap()
}

async fn binary(route: &str, header: &[u8]) -> (Header, usize) {
    let bytes = told(&hop(route), header).await;
    let Decoded { header, len } = decode(&bytes, &HeaderLimits::default()).unwrap().unwrap();
    assert_eq!(len, bytes.len());
    (header, len)
}

const KNOWN: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 52953 443\r\n";
const UNKNOWN: &[u8] = b"PROXY UNKNOWN\r\n";
const V1: &str = "send_proxy = \"v1\"\n";
const V2: &str = "send_proxy = \"v2\"\n";
const TO_OURS: &str = "send_proxy = \"v2\"\nnext_hop = \"smartproxy\"\n";

/// What a front proxy says of a client: an id, and fields that we do not know.
fn from_front(tlvs: Tlvs) -> Vec<u8> {
    let client = ("192.0.2.7:52953".parse().unwrap(), "198.51.100.1:443".parse().unwrap());
    encode_v2(&Outgoing { tlvs, ..Outgoing::proxy(client.0, client.1) }).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_nobody_knows_is_no_bare_unknown_in_version_1() {
    assert_eq!(line(V1, UNKNOWN).await, "PROXY TCP4 127.0.0.1 127.0.0.1 40000 9000\r\n");
    let wanted = format!("{V1}proxy_v1 = {{ unknown_client = \"unknown\" }}\n");
    assert_eq!(line(&wanted, UNKNOWN).await, "PROXY UNKNOWN\r\n");
    assert_eq!(line(V1, KNOWN).await.as_bytes(), KNOWN);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_nobody_knows_is_a_bare_local_in_version_2() {
    assert_eq!(told(&hop(V2), UNKNOWN).await, b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
    let everything =
        "proxy_v2 = { crc32c = true, pass_unknown_tlvs = true, fields = [\"unique_id\", \"authority\"] }";
    let (header, len) = binary(&format!("{V2}{everything}\n"), UNKNOWN).await;
    assert_eq!((header.command, len), (Command::Local, 16 + 7));
    let (header, _) = binary(TO_OURS, UNKNOWN).await;
    assert_eq!(header.tlvs.other, [(0xE5, b"unknown client".to_vec())]);
    assert!(header.tlvs.unique_id.is_some(), "our next hop joins it all the same");
}

/// The outer hop's own connections (a health check) are its own, and it is in the allow list.
#[tokio::test(start_paused = true)]
async fn a_client_that_no_hop_knows_passes_no_allow_list_further_in() {
    let inner = CHAINED.replace("ports = [8000] }", "ports = [8000], clients = [\"10.0.0.0/8\"] }");
    let older = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\x03\xE5\0\0";
    let somebodys = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\x04\xE5\0\x01x";
    let to_ours_in_v1 = V1.to_owned() + "next_hop = \"smartproxy\"\n";
    for (header, expected) in [
        (told(&hop(TO_OURS), UNKNOWN).await, "PH no_route"),
        (told(&hop(&to_ours_in_v1), UNKNOWN).await, "PH no_route"),
        (told(&hop(TO_OURS), KNOWN).await, "PH no_route"),
        (told(&hop(TO_OURS), b"PROXY TCP4 10.9.9.9 5.6.7.8 9 10\r\n").await, "SC dial_refused"),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec(), "SC dial_refused"),
        (older.to_vec(), "PH no_route"),
        (somebodys.to_vec(), "SC dial_refused"),
    ] {
        let rig = Rig::new(&inner);
        let (client, task) = rig.spawn();
        write_all(&client, &header).await.unwrap();
        task.await.unwrap();
        let end = rig.end();
        assert!(end.starts_with(expected), "{}: {end}", header.escape_ascii());
    }
}

/// What others use the type for goes on like any field that we do not know.
#[tokio::test(start_paused = true)]
async fn a_foreign_field_of_our_private_type_is_passed_on() {
    let other = vec![(0xE5, b"theirs".to_vec()), (0xEA, b"vpce-1".to_vec()), (0xE5, Vec::new())];
    let front = from_front(Tlvs { other: other.clone(), ..Tlvs::default() });
    let passing = format!("{V2}proxy_v2 = {{ pass_unknown_tlvs = true }}\n");
    assert_eq!(binary(&passing, &front).await.0.tlvs.other, other);
    assert_eq!(binary(V2, &front).await.0.tlvs.other, []);
}

#[tokio::test(start_paused = true)]
async fn only_fields_that_are_wanted_are_told() {
    let known = Tlvs {
        authority: Some(b"a.example".to_vec()),
        alpn: Some(b"h2".to_vec()),
        unique_id: Some(b"req-7".to_vec()),
        ..Tlvs::default()
    };
    let front = from_front(known.clone());
    let tlvs = binary(V2, &front).await.0.tlvs;
    assert_eq!((tlvs.authority, tlvs.alpn), (None, None));
    assert!(tlvs.unique_id.unwrap().starts_with(b"req-7/"));
    let tlvs = binary(TO_OURS, &front).await.0.tlvs;
    assert_eq!((tlvs.authority, tlvs.alpn), (known.authority, known.alpn.clone()));
    let tlvs = binary(&format!("{V2}proxy_v2 = {{ fields = [\"alpn\"] }}\n"), &front).await.0.tlvs;
    assert_eq!(tlvs, Tlvs { alpn: known.alpn, ..Tlvs::default() });
    assert_eq!(binary(&format!("{V2}proxy_v2 = {{ fields = [] }}\n"), &front).await.1, 28, "addresses alone");
}

#[tokio::test(start_paused = true)]
async fn an_id_is_all_of_them_the_one_that_came_or_our_own() {
    let front = from_front(Tlvs { unique_id: Some(b"a/b".to_vec()), ..Tlvs::default() });
    let sent = async |which: &str, header: &[u8]| {
        let route = format!("{V2}proxy_v2 = {{ unique_id = \"{which}\" }}\n");
        String::from_utf8(binary(&route, header).await.0.tlvs.unique_id.unwrap()).unwrap()
    };
    let is_ours = |id: &str| id.parse::<proxy_conn::ConnId>().is_ok();
    assert!(sent("trail", &front).await.strip_prefix("a/b/").is_some_and(is_ours));
    assert_eq!(sent("received", &front).await, "a/b", "untouched");
    assert!(is_ours(&sent("own", &front).await));
    let empty = from_front(Tlvs { unique_id: Some(Vec::new()), ..Tlvs::default() });
    for which in ["trail", "received", "own"] {
        assert!(is_ours(&sent(which, KNOWN).await), "none came");
        assert!(is_ours(&sent(which, &empty).await), "HAProxy without a format for it sends it empty");
    }
}

/// HAProxy takes 255 bytes there, and closes on more.
#[tokio::test(start_paused = true)]
async fn a_name_that_is_longer_than_any_is_left_out_and_counted() {
    let route = format!("{V2}proxy_v2 = {{ fields = [\"authority\"], max_header = \"4KiB\" }}\n");
    for (len, is_told) in [(255, true), (256, false)] {
        let front = from_front(Tlvs { authority: Some(vec![b'n'; len]), ..Tlvs::default() });
        let rig = hop(&route);
        let bytes = told(&rig, &front).await;
        let header = decode(&bytes, &HeaderLimits::default()).unwrap().unwrap().header;
        assert_eq!(header.tlvs.authority.is_some(), is_told);
        let counts: Vec<_> = rig.proxy.route(0).unwrap().omissions().unwrap().counts().collect();
        assert!(counts.contains(&("authority", u64::from(!is_told))), "{counts:?}");
    }
}

/// Four ids of hops before, a name, a protocol and two foreign fields: 28 bytes of addresses, 3 + 47 + 1 + 10 of ids,
/// 3 + 60 of the name, 3 + 2 of the protocol, 3 + 20 twice.
fn full() -> Vec<u8> {
    from_front(Tlvs {
        unique_id: Some(b"aaaaaaaa-11/bbbbbbbb-22/cccccccc-33/dddddddd-44".to_vec()),
        authority: Some(vec![b'n'; 60]),
        alpn: Some(b"h2".to_vec()),
        other: vec![(0xEA, vec![1; 20]), (0xEB, vec![2; 20])],
        ..Tlvs::default()
    })
}

/// What is there of a full header within so many bytes.
async fn within(max: usize) -> (String, [(&'static str, u64); 6]) {
    let rig = hop(&format!(
        "{V2}proxy_v2 = {{ fields = [\"unique_id\", \"authority\", \"alpn\"], pass_unknown_tlvs = true, max_header = \"{max}B\" }}\n"
    ));
    let bytes = told(&rig, &full()).await;
    assert!(bytes.len() <= max, "{} of {max}", bytes.len());
    let Header { tlvs, endpoints, .. } = decode(&bytes, &HeaderLimits::default()).unwrap().unwrap().header;
    assert!(endpoints.source().is_some(), "addresses always fit");
    let ids = tlvs.unique_id.as_deref().map_or(0, |ids| Trail::from_header(ids).ids().count());
    let what = format!(
        "{} other, {} alpn, {ids} ids, {} name",
        tlvs.other.len(),
        usize::from(tlvs.alpn.is_some()),
        usize::from(tlvs.authority.is_some())
    );
    let counts: Vec<_> = rig.proxy.route(0).unwrap().omissions().unwrap().counts().collect();
    (what, counts.try_into().unwrap())
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_left_out_in_order_and_counted() {
    let own = Trail::default().then(proxy_conn::ConnId { instance: 0, count: 0 }).as_str().len();
    let full = 28 + 3 + 48 + own + 63 + 5 + 46;
    let counted = |names: &[&str]| {
        proxy_dataplane::omissions::Omission::ALL
            .map(|one| (one.name(), u64::from(names.contains(&one.name()))))
    };
    for (max, what, left_out) in [
        (full, "2 other, 1 alpn, 5 ids, 1 name", &[][..]),
        (full - 1, "1 other, 1 alpn, 5 ids, 1 name", &["passed_on"]),
        (full - 46, "0 other, 1 alpn, 5 ids, 1 name", &["passed_on"]),
        (full - 47, "0 other, 0 alpn, 5 ids, 1 name", &["passed_on", "alpn"]),
        (full - 52, "0 other, 0 alpn, 4 ids, 1 name", &["passed_on", "alpn", "older_ids"]),
        (full - 51 - 48, "0 other, 0 alpn, 1 ids, 1 name", &["passed_on", "alpn", "older_ids"]),
        (full - 51 - 49, "0 other, 0 alpn, 1 ids, 0 name", &["passed_on", "alpn", "older_ids", "authority"]),
        (59, "0 other, 0 alpn, 1 ids, 0 name", &["passed_on", "alpn", "older_ids", "authority"]),
    ] {
        assert_eq!(within(max).await, (what.to_owned(), counted(left_out)), "{max} of {full}");
    }
}

/// nginx 1.22 as a stream takes 107 bytes.
#[tokio::test(start_paused = true)]
async fn whatever_came_the_header_is_one_that_everybody_takes_by_default() {
    let ipv6 = ("[2001:db8::7]:52953".parse().unwrap(), "[2001:db8::1]:443".parse().unwrap());
    let tlvs = Tlvs {
        unique_id: Some(vec![b'i'; 128]),
        authority: Some(vec![b'n'; 253]),
        alpn: Some(vec![b'p'; 255]),
        netns: Some(vec![b's'; 100]),
        other: vec![(0xE5, vec![0; 300])],
        ..Tlvs::default()
    };
    let front = encode_v2(&Outgoing { tlvs, ..Outgoing::proxy(ipv6.0, ipv6.1) }).unwrap();
    for more in ["", "proxy_v2 = { crc32c = true, pass_unknown_tlvs = true }\n"] {
        let rig = hop(&format!("{V2}{more}"));
        let bytes = told(&rig, &front).await;
        assert!(bytes.len() <= 107, "{}", bytes.len());
        let header = decode(&bytes, &HeaderLimits::default()).unwrap().unwrap().header;
        assert!(header.tlvs.unique_id.is_some_and(|id| id.len() < 128), "our own id is there");
        let counts: Vec<_> = rig.proxy.route(0).unwrap().omissions().unwrap().counts().collect();
        assert!(counts.contains(&("older_ids", 1)), "{counts:?}");
    }
}
