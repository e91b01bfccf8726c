//! A header that has to fit its receiver: what it does without, and in which order.

use proxy_core::header::{Outgoing, Tlvs};

use crate::connection::origin::UNKNOWN_CLIENT;
use crate::omissions::Omission;
use crate::settings::{HeaderContent, HeaderField, UniqueId};

/// Bytes of a field's type and length (PROXY protocol, section 2.2).
const HEAD: usize = 3;

/// What was left out of a header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Omitted([bool; Omission::ALL.len()]);

impl Omitted {
    pub(super) fn add(&mut self, omission: Omission) {
        if let Some(place) = self.0.get_mut(omission as usize) {
            *place = true;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// All of it, in the order in which it gives way.
    pub(super) fn all(&self) -> impl Iterator<Item = Omission> {
        Omission::ALL
            .into_iter()
            .zip(self.0)
            .filter_map(|(omission, is_left_out)| is_left_out.then_some(omission))
    }
}

/// Leaves out what does not fit. Addresses, the checksum and the word to a hop of ours stay whatever the limit.
pub(super) fn fit(header: &mut Outgoing, content: &HeaderContent, omitted: &mut Omitted) {
    let mut excess = header.encoded_len().saturating_sub(content.max_header);
    for omission in Omission::ALL {
        while excess > 0 {
            let Some(freed) = next(omission, &mut header.tlvs, content) else { break };
            omitted.add(omission);
            excess = excess.saturating_sub(freed);
        }
    }
}

/// Leaves the next of it out, and says how many bytes that makes room for. None where there is no more of it.
fn next(omission: Omission, tlvs: &mut Tlvs, content: &HeaderContent) -> Option<usize> {
    let field = |field: &mut Option<Vec<u8>>| field.take().map(|value| HEAD + value.len());
    match omission {
        Omission::PassedOn => passed_on(tlvs, content),
        Omission::Ssl => ssl(tlvs),
        Omission::Alpn => field(&mut tlvs.alpn),
        Omission::OlderIds if content.unique_id == UniqueId::Trail => {
            let ids = tlvs.unique_id.as_mut()?;
            let oldest = ids.iter().position(|byte| *byte == b'/')?;
            Some(ids.drain(..=oldest).count())
        }
        Omission::OlderIds => None,
        Omission::Authority => field(&mut tlvs.authority),
        Omission::UniqueId => field(&mut tlvs.unique_id),
    }
}

/// The last of the fields that are passed on, which are all or nothing each.
fn passed_on(tlvs: &mut Tlvs, content: &HeaderContent) -> Option<usize> {
    let is_passed_on = |(kind, value): &(u8, Vec<u8>)| (*kind, value.as_slice()) != UNKNOWN_CLIENT;
    if tlvs.other.last().is_some_and(is_passed_on) {
        return tlvs.other.pop().map(|(_, value)| HEAD + value.len());
    }
    let netns = tlvs.netns.take().map(|value| HEAD + value.len());
    netns.or_else(|| if content.fields.has(HeaderField::Ssl) { None } else { ssl(tlvs) })
}

/// What is known of the client's TLS, as a whole.
fn ssl(tlvs: &mut Tlvs) -> Option<usize> {
    let alone = Tlvs { ssl: Some(tlvs.ssl.take()?), ..Tlvs::default() };
    Some(Outgoing { tlvs: alone, ..Outgoing::local() }.encoded_len() - Outgoing::local().encoded_len())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use proxy_core::header::{Ssl, encode_v2};

    use super::*;
    use crate::settings::{Fields, NextHop};

    /// Every field, and so many bytes at most.
    fn content(unique_id: UniqueId, max_header: usize) -> HeaderContent {
        HeaderContent {
            fields: Fields::of(&[HeaderField::UniqueId]),
            unique_id,
            max_header,
            crc32c: false,
            pass_unknown_tlvs: false,
            next_hop: NextHop::Other,
        }
    }

    fn value() -> impl Strategy<Value = Vec<u8>> {
        vec(any::<u8>(), 0..60)
    }

    fn headers() -> impl Strategy<Value = Outgoing> {
        let ids = vec("[0-9a-f]{1,20}", 1..6).prop_map(|ids| ids.join("/").into_bytes());
        let ids = ids.prop_map(|mut ids| {
            ids.truncate(128);
            ids
        });
        let other = vec((0xE0_u8..=0xEF, value()), 0..5);
        let ssl = option::of(value().prop_map(|cn| Box::new(Ssl { cn: Some(cn), ..Ssl::default() })));
        let some = || option::of(value());
        ((some(), some(), option::of(ids)), (ssl, some(), other), any::<(bool, bool, bool)>()).prop_map(
            |((alpn, authority, unique_id), (ssl, netns, other), (ipv6, crc32c, local))| {
                let ip = if ipv6 { "[2001:db8::7]:1" } else { "192.0.2.7:1" };
                let ip = ip.parse().unwrap_or_else(|error| panic!("{error}"));
                let tlvs = Tlvs { alpn, authority, unique_id, ssl, netns, other, ..Tlvs::default() };
                let whose = if local { Outgoing::local() } else { Outgoing::proxy(ip, ip) };
                Outgoing { tlvs, crc32c, ..whose }
            },
        )
    }

    proptest! {
        /// It fits, it can be written, and what gives way later is whole while what gives way before is still there.
        #[test]
        fn a_header_fits_and_gives_way_in_order(mut header in headers(), max in 59..500_usize, trail: bool) {
            let content = content(if trail { UniqueId::Trail } else { UniqueId::Received }, max);
            let (before, mut omitted) = (header.clone(), Omitted::default());
            fit(&mut header, &content, &mut omitted);
            let bytes = encode_v2(&header);
            prop_assert!(bytes.is_ok_and(|bytes| bytes.len() <= max && bytes.len() == header.encoded_len()));
            prop_assert_eq!(omitted.is_empty(), before == header);
            prop_assert_eq!(before.encoded_len() <= max, before == header, "nothing is left out for nothing");
            let (was, is) = (&before.tlvs, &header.tlvs);
            if !is.other.is_empty() || is.ssl.is_some() || is.netns.is_some() {
                prop_assert!(is.alpn == was.alpn && is.unique_id == was.unique_id && is.authority == was.authority);
            }
            if is.alpn.is_some() {
                prop_assert!(is.unique_id == was.unique_id && is.authority == was.authority);
            }
            if is.authority != was.authority && trail {
                prop_assert!(is.unique_id.as_ref().is_none_or(|id| !id.contains(&b'/')), "older ids go first");
            }
            if let (Some(was), Some(is)) = (&was.unique_id, &is.unique_id) {
                prop_assert!(was.ends_with(is), "the newest id is the last to go");
                prop_assert!(trail || was == is, "an id that was received is whole or not there");
            }
        }
    }

    #[test]
    fn the_word_to_a_hop_of_ours_stays() {
        let (kind, value) = UNKNOWN_CLIENT;
        let ours = (kind, value.to_vec());
        let other = vec![ours.clone(), (0xEA, vec![0; 40]), (0xE5, vec![0; 40])];
        let tlvs = Tlvs { other, unique_id: Some(vec![b'i'; 40]), ..Tlvs::default() };
        let mut header = Outgoing { tlvs, crc32c: true, ..Outgoing::local() };
        fit(&mut header, &content(UniqueId::Trail, 59), &mut Omitted::default());
        assert_eq!(header.tlvs, Tlvs { other: vec![ours], ..Tlvs::default() });
    }
}
