//! A header that has to fit its receiver: what it does without, and in which order.

use proxy_core::header::{Outgoing, Tlvs};

use crate::config::{HeaderContent, UniqueId};
use crate::connection::header::UNKNOWN_CLIENT;
use crate::omissions::Omission;

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
        Omission::PassedOn => passed_on(tlvs),
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
fn passed_on(tlvs: &mut Tlvs) -> Option<usize> {
    let is_passed_on = |(kind, value): &(u8, Vec<u8>)| (*kind, value.as_slice()) != UNKNOWN_CLIENT;
    if tlvs.other.last().is_some_and(is_passed_on) {
        return tlvs.other.pop().map(|(_, value)| HEAD + value.len());
    }
    let netns = tlvs.netns.take().map(|value| HEAD + value.len());
    netns.or_else(|| {
        let ssl = tlvs.ssl.take()?;
        let alone = Tlvs { ssl: Some(ssl), ..Tlvs::default() };
        Some(Outgoing { tlvs: alone, ..Outgoing::local() }.encoded_len() - Outgoing::local().encoded_len())
    })
}
