//! What simulated kernels say to each other: TCP's segments, as far as they matter here, in datagrams.

/// One segment. Positions count bytes from 0; the FIN takes the position after the last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    /// The sender's port.
    pub(super) from: u16,
    /// The receiver's port.
    pub(super) to: u16,
    /// What it says.
    pub(super) says: Says,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Says {
    Syn,
    SynAck,
    /// Bytes from `at` on. Without any it asks for an [`Ack`](Self::Ack).
    Data {
        at: u64,
        bytes: Vec<u8>,
    },
    Fin {
        at: u64,
    },
    /// All before `next` has arrived, and there is room for `room` more.
    Ack {
        next: u64,
        room: u64,
    },
    /// A reset after all before `at`. None where the sender knows of no such connection.
    Reset {
        at: Option<u64>,
    },
}

impl Segment {
    pub(super) fn encode(&self) -> Vec<u8> {
        let (kind, first, second, bytes): (u8, u64, u64, &[u8]) = match &self.says {
            Says::Syn => (0, 0, 0, &[]),
            Says::SynAck => (1, 0, 0, &[]),
            Says::Data { at, bytes } => (2, *at, 0, bytes),
            Says::Fin { at } => (3, *at, 0, &[]),
            Says::Ack { next, room } => (4, *next, *room, &[]),
            Says::Reset { at } => (5, at.unwrap_or(u64::MAX), 0, &[]),
        };
        let mut out = Vec::with_capacity(21 + bytes.len());
        out.push(kind);
        out.extend_from_slice(&self.from.to_be_bytes());
        out.extend_from_slice(&self.to.to_be_bytes());
        out.extend_from_slice(&first.to_be_bytes());
        out.extend_from_slice(&second.to_be_bytes());
        out.extend_from_slice(bytes);
        out
    }

    /// What [`encode`](Self::encode) made; None for anything else.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let [kind] = take(&mut bytes)?;
        let from = u16::from_be_bytes(take(&mut bytes)?);
        let to = u16::from_be_bytes(take(&mut bytes)?);
        let first = u64::from_be_bytes(take(&mut bytes)?);
        let second = u64::from_be_bytes(take(&mut bytes)?);
        let says = match kind {
            0 => Says::Syn,
            1 => Says::SynAck,
            2 => Says::Data { at: first, bytes: bytes.to_vec() },
            3 => Says::Fin { at: first },
            4 => Says::Ack { next: first, room: second },
            5 => Says::Reset { at: Some(first).filter(|at| *at != u64::MAX) },
            _ => return None,
        };
        Some(Self { from, to, says })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (front, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*front)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let all = [
            Says::Syn,
            Says::SynAck,
            Says::Data { at: 1 << 40, bytes: vec![1, 2, 3] },
            Says::Data { at: 7, bytes: vec![] },
            Says::Fin { at: 9 },
            Says::Ack { next: 3, room: 65_536 },
            Says::Reset { at: Some(0) },
            Says::Reset { at: None },
        ];
        for says in all {
            let segment = Segment { from: 40_000, to: 80, says };
            assert_eq!(Segment::decode(&segment.encode()), Some(segment));
        }
        assert_eq!(Segment::decode(&[9; 21]), None);
        assert_eq!(Segment::decode(&[2; 20]), None);
    }
}
