//! What holds for any bytes at all.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proxy_core::hello::{HelloReader, MAX_HELLO, Progress};

use crate::builder::*;

/// A stream that gets further than noise does: a hello, a few of its bytes changed, cut off anywhere.
fn damaged_hello() -> impl Strategy<Value = Vec<u8>> {
    let hello = prop_oneof![Just(Hello::bare()), Just(Hello::ordinary()), Just(Hello::like_chrome())];
    let damage = vec((any::<Index>(), any::<u8>()), 0..6);
    (hello, 1_usize..700, damage, any::<Index>(), vec(any::<u8>(), 0..40)).prop_map(
        |(hello, size, damage, end, behind)| {
            let mut stream = hello.stream(size);
            for (at, byte) in damage {
                let at = at.index(stream.len());
                stream[at] = byte;
            }
            if end.index(2) == 0 {
                stream.truncate(end.index(stream.len()));
            }
            stream.extend(behind);
            stream
        },
    )
}

/// Noise, noise behind a good record header, and damaged hellos.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let noise = || vec(any::<u8>(), 0..600);
    let framed = (noise(), 1_usize..300).prop_map(|(noise, size)| records(&handshake(1, &noise), size));
    prop_oneof![1 => noise(), 2 => framed, 6 => damaged_hello()]
}

/// Cuts a stream after each of the lengths, in turn, until it is used up.
fn chunks<'a>(mut stream: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    for length in lengths.iter().cycle() {
        let (chunk, rest) = stream.split_at((*length).min(stream.len()));
        chunks.push(chunk);
        stream = rest;
        if stream.is_empty() {
            break;
        }
    }
    chunks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn cuts_change_neither_the_answer_nor_its_byte(stream in stream(), lengths in vec(1_usize..200, 1..20), cap in 0_usize..2_500) {
        for cap in [cap, MAX_HELLO] {
            let (by_byte, needed) = read_in_chunks(&mut HelloReader::new(cap), stream.chunks(1));
            prop_assert_eq!(&HelloReader::new(cap).look(&stream), &by_byte);
            let (in_chunks, pushed) = read_in_chunks(&mut HelloReader::new(cap), chunks(&stream, &lengths));
            prop_assert_eq!(&in_chunks, &by_byte);
            prop_assert!(pushed >= needed && pushed < needed + 200);
        }
    }

    #[test]
    fn an_answer_comes_by_the_cap(stream in stream(), cap in 0_usize..2_500) {
        let mut endless = stream;
        endless.resize(cap.max(1), 0);
        prop_assert_ne!(HelloReader::new(cap).look(&endless), Progress::More);
    }

    #[test]
    fn what_follows_an_answer_does_not_change_it(stream in stream(), behind in vec(any::<u8>(), 0..100)) {
        let answer = read(&stream);
        if answer != Progress::More {
            prop_assert_eq!(read(&[stream, behind].concat()), answer);
        }
    }

    #[test]
    fn names_are_always_in_their_one_form(name in vec(prop_oneof![any::<u8>(), Just(b'.'), Just(b'-'), b'0'..=b'9', b'A'..=b'z'], 1..80)) {
        if let Some(name) = hello(&Hello::plain().with(server_name(&name)).whole()).server_name {
            prop_assert!(!name.is_empty() && !name.ends_with('.') && name.is_ascii());
            prop_assert!(!name.bytes().any(|byte| byte.is_ascii_uppercase()));
            prop_assert!(name.parse::<std::net::IpAddr>().is_err());
        }
    }
}

#[test]
fn no_single_changed_byte_makes_it_panic() {
    for hello in [Hello::bare(), Hello::ordinary()] {
        for stream in [hello.whole(), hello.stream(20)] {
            for at in 0..stream.len() {
                for byte in 0..=u8::MAX {
                    let mut stream = stream.clone();
                    stream[at] = byte;
                    // The answer may be any; that there is one without a panic is the point.
                    std::hint::black_box(read(&stream));
                }
            }
        }
    }
}
