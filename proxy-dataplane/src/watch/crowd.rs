//! A crowd that came and went.

/// Fewer connections than these leave less memory behind than looking for it is worth.
const WORTH_A_LOOK: usize = 1000;

/// How many connections there were at the most, of late.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    most: usize,
    /// How many there were when last looked.
    last: usize,
}

impl Crowd {
    /// Whether most of a crowd has gone by now, and with it what its memory was needed for: told once, when they have
    /// stopped going. Told in the middle, what the rest leave behind would be too little to look for.
    pub(super) fn has_gone(&mut self, now: usize) -> bool {
        self.most = self.most.max(now);
        let gone = self.most >= WORTH_A_LOOK && now <= self.most / 4 && self.last <= now;
        self.last = now;
        if gone {
            self.most = now;
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_has_gone_once() {
        let mut crowd = Crowd::default();
        let seen: Vec<_> =
            [0, 900, 3000, 800, 750, 740, 741, 0, 0].into_iter().map(|n| crowd.has_gone(n)).collect();
        assert_eq!(seen, [false, false, false, false, false, false, true, false, false]);
    }
}
