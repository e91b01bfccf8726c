//! Two other readers of hellos, which must agree where they read at all.
//!
//! Agreed differences, each with its test below:
//! - `rustls` serves, so it refuses what it could not serve: hellos without signature algorithms (old clients), without
//!   null compression, names that are no DNS name, lists without a host name, and bytes behind the hello in its flight.
//!   It keeps the trailing dot of a name, and counts it against the 253 bytes. In a list of names it stops at a type
//!   it does not know, whatever follows; we step over that name and insist that the list adds up, as Go does.
//! - `tls-parser` reads one record and one message: fragments are beyond it. It does not judge names, empty lists or
//!   duplicate extensions.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proxy_core::hello::{HelloError, Part, Progress};
use tls_parser::{TlsExtension, TlsMessage, TlsMessageHandshake};

use crate::builder::*;
use crate::captures;

/// What both sides say about a hello: the server name, and the protocols.
type Asked = (Option<String>, Vec<Vec<u8>>);

fn ours(stream: &[u8]) -> Asked {
    let hello = hello(stream);
    (hello.server_name.map(String::from), hello.alpn.iter().map(Vec::from).collect())
}

fn rustls(mut stream: &[u8]) -> Result<Asked, String> {
    let mut acceptor = rustls::server::Acceptor::default();
    loop {
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                let hello = accepted.client_hello();
                let alpn = hello.alpn().into_iter().flatten().map(<[u8]>::to_vec).collect();
                return Ok((hello.server_name().map(String::from), alpn));
            }
            Ok(None) if stream.is_empty() => return Err("incomplete".to_owned()),
            Ok(None) => _ = acceptor.read_tls(&mut stream).map_err(|error| error.to_string())?,
            Err((error, _alert)) => return Err(error.to_string()),
        }
    }
}

fn without_dot(name: String) -> String {
    name.strip_suffix('.').map(str::to_owned).unwrap_or(name)
}

/// The name as sent, in lower case.
fn tls_parser(stream: &[u8]) -> Result<Asked, String> {
    let (_, record) = tls_parser::parse_tls_plaintext(stream).map_err(|error| error.to_string())?;
    let Some(TlsMessage::Handshake(TlsMessageHandshake::ClientHello(hello))) = record.msg.first() else {
        return Err("no hello".to_owned());
    };
    let list = tls_parser::parse_tls_client_hello_extensions(hello.ext.unwrap_or_default());
    let (_, extensions) = list.map_err(|error| error.to_string())?;
    let mut asked = Asked::default();
    for extension in &extensions {
        if let TlsExtension::SNI(names) = extension {
            asked.0 = names.first().map(|(_, name)| String::from_utf8_lossy(name).to_ascii_lowercase());
        }
        if let TlsExtension::ALPN(protocols) = extension {
            asked.1 = protocols.iter().map(|name| name.to_vec()).collect();
        }
    }
    Ok(asked)
}

/// Well-formed hellos such as clients could send today.
fn valid_hello() -> impl Strategy<Value = Hello> {
    let name = proptest::option::of(
        "[A-Za-z][A-Za-z0-9_]{0,12}(-[a-z0-9]{1,5})?(\\.[a-z0-9]{1,9}){0,3}\\.[A-Za-z]{2,8}",
    );
    let protocols = proptest::option::of(vec(vec(any::<u8>(), 1..12), 1..6));
    let unknown = vec((0x4000_u16..0xf000, vec(any::<u8>(), 0..80)), 0..6);
    (name, protocols, unknown, 0_usize..=32, any::<prop::sample::Index>()).prop_map(
        |(name, protocols, unknown, session_id, order)| {
            let mut hello = Hello { session_id: vec![3; session_id], ..Hello::plain() };
            if let Some(name) = name {
                hello = hello.with(server_name(name.as_bytes()));
            }
            if let Some(protocols) = protocols {
                hello = hello.with(alpn(&protocols.iter().map(Vec::as_slice).collect::<Vec<_>>()));
            }
            let mut numbers = BTreeSet::new();
            hello =
                unknown.into_iter().filter(|(number, _)| numbers.insert(*number)).fold(hello, Hello::with);
            let extensions = hello.extensions.as_mut().unwrap();
            let turn = order.index(extensions.len());
            extensions.rotate_left(turn);
            hello
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn all_agree_on_valid_hellos(hello in valid_hello()) {
        let stream = hello.whole();
        prop_assert_eq!(rustls(&stream), Ok(ours(&stream)));
        prop_assert_eq!(tls_parser(&stream), Ok(ours(&stream)));
    }

    #[test]
    fn rustls_agrees_on_fragments(hello in valid_hello(), size in 1_usize..100) {
        let stream = hello.stream(size);
        prop_assert_eq!(rustls(&stream), Ok(ours(&stream)));
    }

    /// Names of any kind: what rustls takes for a DNS name, and only that, is one.
    #[test]
    fn rustls_agrees_on_what_a_name_is(name in "[a-z0-9xX_.:-]{1,12}|[0-9.]{1,16}|[a-c]{1,3}\\.0[xX][0-9a-g]{0,3}|\\PC{1,8}") {
        let stream = Hello::plain().with(server_name(name.as_bytes())).whole();
        let theirs = rustls(&stream).ok().and_then(|asked| asked.0);
        prop_assert_eq!(ours(&stream).0, theirs.map(without_dot));
    }

    /// What rustls can serve is a hello to us: no client is lost for our stricter reading.
    #[test]
    fn what_rustls_accepts_is_accepted(hello in valid_hello(), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut stream = hello.whole();
        for (at, byte) in damage {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        let junk_behind_the_name = matches!(read(&stream), Progress::Unreadable(HelloError::Malformed { part: Part::ServerName, .. }));
        if let Ok((name, alpn)) = rustls(&stream) && !junk_behind_the_name {
            prop_assert_eq!(ours(&stream), (name.map(without_dot), alpn));
        }
    }
}

#[test]
fn all_agree_on_the_hello_like_chromes() {
    let stream = Hello::like_chrome().whole();
    assert_eq!(rustls(&stream), Ok(ours(&stream)));
    assert_eq!(tls_parser(&stream), Ok(ours(&stream)));
}

#[test]
fn captures_are_read_alike_by_those_who_can() {
    for (name, stream) in captures::all() {
        let old_client = name == "openssl_tls10_no_sni";
        let fragmented = name == "openssl_512_byte_records";
        assert_eq!(rustls(&stream).ok(), (!old_client).then(|| ours(&stream)), "{name}");
        assert_eq!(tls_parser(&stream).ok(), (!fragmented).then(|| ours(&stream)), "{name}");
    }
}

#[test]
fn rustls_refuses_what_it_cannot_serve() {
    let unusable = [
        Hello::bare(),
        Hello { compression: vec![1], ..Hello::ordinary() },
        Hello::plain().with(server_name(b"not a name")),
        Hello::plain().with(server_names(&[(9, b"other")])),
    ];
    for hello in unusable {
        let stream = hello.whole();
        assert!(matches!(read(&stream), Progress::Hello(_)), "{hello:?}");
        assert!(rustls(&stream).is_err(), "{hello:?}");
    }
}

#[test]
fn rustls_stops_where_names_of_unknown_types_begin() {
    let named_behind = Hello::plain().with(server_names(&[(9, b"?"), (0, b"a.example")])).whole();
    assert_eq!(ours(&named_behind).0.as_deref(), Some("a.example"));
    assert!(rustls(&named_behind).is_err());
    let junk_behind = [server_names(&[(0, b"a.example")]).1[2..].to_vec(), b"junk".to_vec()].concat();
    let junk_behind = Hello::plain().with((0, vec16(&junk_behind))).whole();
    assert!(matches!(refusal(&junk_behind), HelloError::Malformed { part: Part::ServerName, .. }));
    assert_eq!(rustls(&junk_behind).unwrap().0.as_deref(), Some("a.example"));
}

#[test]
fn rustls_refuses_a_hello_with_a_message_behind_it() {
    let followed = record(22, &[Hello::ordinary().message(), handshake(4, &[0; 9])].concat());
    assert!(matches!(read(&followed), Progress::Hello(_)));
    assert!(rustls(&followed).is_err());
}

#[test]
fn tls_parser_overlooks_what_is_ambiguous() {
    let two_names = Hello::plain().with(server_name(b"a.example")).with(server_name(b"b.example")).whole();
    assert_eq!(refusal(&two_names), HelloError::DuplicateExtension { number: 0 });
    assert_eq!(tls_parser(&two_names).unwrap().0.as_deref(), Some("b.example"));
    assert!(tls_parser(&Hello::plain().with(alpn(&[])).whole()).is_ok());
}
