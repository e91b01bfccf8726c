//! However a hello is cut, by the client into records or by the network into segments, it is the same hello.

use proxy_core::hello::{HelloReader, Progress};

use crate::builder::*;

/// The last byte of `stream` must be the one that completes the hello.
fn assert_every_prefix_wants_more(stream: &[u8], expected: &Progress) {
    let mut reader = HelloReader::default();
    let (progress, pushed) = read_in_chunks(&mut reader, stream.chunks(1));
    assert_eq!((&progress, pushed), (expected, stream.len()));
}

#[test]
fn a_hello_is_read_whole_and_cut_at_every_byte() {
    for hello in [Hello::bare(), Hello::ordinary(), Hello::like_chrome()] {
        let stream = hello.whole();
        let expected = read(&stream);
        assert!(matches!(expected, Progress::Hello(_)), "{expected:?}");
        for at in 0..stream.len() {
            let mut reader = HelloReader::default();
            assert_eq!(reader.look(&stream[..at]), Progress::More, "cut at {at}");
            assert_eq!(reader.look(&stream), expected, "cut at {at}");
        }
        assert_every_prefix_wants_more(&stream, &expected);
    }
}

#[test]
fn a_hello_is_read_from_records_of_every_size() {
    let hello = Hello::ordinary();
    let expected = read(&hello.whole());
    for size in 1..=hello.message().len() {
        let stream = hello.stream(size);
        assert_eq!(read(&stream), expected, "records of {size}");
        assert_every_prefix_wants_more(&stream, &expected);
    }
}

#[test]
fn records_and_segments_are_cut_independently() {
    let hello = Hello::ordinary();
    let expected = read(&hello.whole());
    for size in [1, 2, 3, 4, 5, 7, 64] {
        let stream = hello.stream(size);
        for segment in 1..=48 {
            let (progress, _) = read_in_chunks(&mut HelloReader::default(), stream.chunks(segment));
            assert_eq!(progress, expected, "records of {size}, segments of {segment}");
        }
    }
}

#[test]
fn a_large_hello_in_records_of_one_byte_is_read() {
    let hello = Hello::like_chrome();
    let stream = hello.stream(1);
    assert_eq!(stream.len(), 6 * hello.message().len());
    assert_eq!(read(&stream), read(&hello.whole()));
}

#[test]
fn empty_chunks_change_nothing() {
    let stream = Hello::ordinary().whole();
    let chunks = stream.chunks(1).flat_map(|byte| [&[][..], byte]);
    assert_eq!(read_in_chunks(&mut HelloReader::default(), chunks).0, read(&stream));
}

#[test]
fn what_is_behind_the_hello_is_not_looked_at() {
    let hello = Hello::ordinary();
    let expected = read(&hello.whole());
    for behind in [&[0xff; 40][..], b"\x15\x09\x09", &record(22, &[]), &hello.whole(), &[0; 20_000]] {
        assert_eq!(read(&[&hello.whole(), behind].concat()), expected);
    }
    let in_the_same_record = [hello.message(), vec![0xee; 100]].concat();
    assert_eq!(read(&record(22, &in_the_same_record)), expected);
}

#[test]
fn an_answer_once_given_stays() {
    let stream = Hello::ordinary().whole();
    let mut reader = HelloReader::default();
    let first = reader.look(&stream);
    for more in [&[][..], b"GET /", &stream] {
        assert_eq!(reader.look(&[&stream, more].concat()), first);
    }
    let mut reader = HelloReader::default();
    let first = reader.look(b"GET /");
    for more in [&[][..], b"GET /", &stream] {
        assert_eq!(reader.look(&[b"GET /", more].concat()), first);
    }
}
