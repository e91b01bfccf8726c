//! Values over time as dots of braille: two of them side by side in a character, four one above the other.

/// Lines of braille.
#[derive(Debug)]
pub(super) struct Chart {
    /// The height of each point in dots; 0 where nothing is known.
    heights: Vec<usize>,
    lines: usize,
}

/// The dots of a column of a character, from the bottom up (Unicode's Braille Patterns, U+2800).
const LEFT: [u32; 4] = [0x40, 0x04, 0x02, 0x01];
const RIGHT: [u32; 4] = [0x80, 0x20, 0x10, 0x08];

const DOTS: usize = LEFT.len();

impl Chart {
    /// The last `points` of these values, the latest at the right edge, the highest as high as there is room. None is a gap, 0 one
    /// dot, and anything above it two at least: a little is not nothing.
    pub(super) fn of(values: &[Option<f64>], lines: usize, points: usize) -> Self {
        let most = values.iter().copied().flatten().fold(0.0, f64::max);
        let room = (lines * DOTS).saturating_sub(1);
        let height = |value: Option<f64>| match value {
            None => 0,
            Some(value) if value <= 0.0 || most <= 0.0 => 1,
            Some(value) => 1 + scaled(value / most, room).clamp(1, room),
        };
        let (shown, missing) = (values.len().min(points), points.saturating_sub(values.len()));
        let latest = values.get(values.len() - shown..).unwrap_or_default();
        let gap = std::iter::repeat_n(0, missing);
        Self { heights: gap.chain(latest.iter().map(|value| height(*value))).collect(), lines }
    }

    /// Its lines, the highest first.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.lines)
            .rev()
            .map(|line| self.heights.chunks(2).map(|pair| character(pair, line * DOTS)).collect())
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some dots, not below 0")]
fn scaled(share: f64, room: usize) -> usize {
    (share * room as f64).round() as usize
}

/// What of two points is in the line above so many dots.
fn character(pair: &[usize], below: usize) -> char {
    let dots = |height: Option<&usize>, column: [u32; 4]| {
        let count = height.map_or(0, |height| height.saturating_sub(below).min(DOTS));
        column.iter().take(count).sum::<u32>()
    };
    let code = dots(pair.first(), LEFT) + dots(pair.get(1), RIGHT);
    if code == 0 { ' ' } else { char::from_u32(0x2800 + code).unwrap_or(' ') }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(values: &[Option<f64>], lines: usize, points: usize) -> Vec<String> {
        Chart::of(values, lines, points).lines().collect()
    }

    #[test]
    fn a_ramp_rises_to_the_top() {
        let values: Vec<_> = (0..8).map(|n| Some(f64::from(n))).collect();
        assert_eq!(drawn(&values, 2, 8), ["  ⣠⣾", "⣠⣾⣿⣿"]);
    }

    #[test]
    fn a_gap_is_none_nothing_is_a_dot_and_a_little_is_more() {
        assert_eq!(drawn(&[None, None, Some(0.0), Some(0.0), Some(0.01), Some(100.0)], 1, 6), [" ⣀⣼"]);
        assert_eq!(drawn(&[Some(0.0), Some(0.0)], 1, 2), ["⣀"]);
    }

    #[test]
    fn the_latest_are_at_the_right_edge() {
        assert_eq!(drawn(&[Some(1.0)], 1, 4), [" ⢸"]);
        assert_eq!(drawn(&[Some(9.0), Some(1.0), Some(1.0)], 1, 2), ["⣤"]);
    }
}
