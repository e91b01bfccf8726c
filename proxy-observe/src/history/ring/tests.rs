use super::*;
use crate::history::step::Precision;
use proptest::prelude::*;

fn step(seed: &[u64; 8]) -> Step {
    let [opened, ended, open, failed, refused, from_client, from_backend, first_byte_us] = *seed;
    Step { opened, ended, open, failed, refused, from_client, from_backend, first_byte_us }
}

/// What is kept of it where it is kept by itself.
fn rounded(step: &Step, precision: &Precision) -> Step {
    Codes::of(step, precision).step(precision)
}

/// Small numbers, large ones, and none.
fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0_u64), 0_u64..40, 0_u64..5000, 0_u64..1 << 40, any::<u64>()]
}

fn any_span() -> impl Strategy<Value = Span> {
    proptest::sample::select(Span::ALL.to_vec())
}

proptest! {
    /// Whatever the numbers are and wherever there are gaps: a ring has its last steps, each as its scale rounds it.
    #[test]
    fn has_the_last_steps(
        span in any_span(),
        seeds in proptest::collection::vec((prop_oneof![9 => Just(1_u32), 1 => 1_u32..2000], proptest::array::uniform8(any_number())), 1..400),
    ) {
        let mut ring = Ring::new(span);
        let (mut number, mut all) = (1_000_000, Vec::new());
        for (after, seed) in &seeds {
            number += after;
            let kept = ring.append(number, &step(seed));
            ring.forget(number);
            prop_assert_eq!(kept, rounded(&step(seed), span.precision()));
            all.push((number, kept));
        }
        let within = |(at, _): &&(u32, Step)| *at + span.steps() > number;
        let expected: Vec<_> = all.iter().filter(within).copied().collect();
        let kept: Vec<_> = ring.steps().collect();
        prop_assert!(kept.ends_with(&expected));
        // No more than a chunk beyond.
        let beyond = u32::try_from(kept.len() - expected.len()).unwrap();
        prop_assert!(beyond < span.chunk());
        prop_assert!(all.ends_with(&kept));
    }

    /// A cursor that is held while steps come and go reads on where it was, or at the oldest that is left.
    #[test]
    fn a_cursor_reads_on(reads in proptest::collection::vec(0_usize..4, 1..900)) {
        let mut ring = Ring::new(Span::TenMinutes);
        let (mut cursor, mut number, mut next) = (ring.start(), 0, 1);
        for count in reads {
            number += 1;
            ring.append(number, &Step { opened: u64::from(number), ..Step::default() });
            ring.forget(number);
            let oldest = ring.chunks()[0].first;
            for _ in 0..count {
                let expected = next.max(oldest);
                let read = cursor.next(&ring).map(|(number, step)| (number, step.opened));
                let there = (expected <= number).then_some(expected);
                let exact = there.map(|number| (number, rounded(&Step { opened: number.into(), ..Step::default() }, ring.span.precision()).opened));
                prop_assert_eq!(read, exact);
                next = there.map_or(next, |number| number + 1);
            }
        }
    }
}

#[test]
fn an_hour_in_which_nothing_happens_takes_a_few_hundred_bytes() {
    let mut ring = Ring::new(Span::SixHours);
    (1..=360).for_each(|number| {
        ring.append(number, &Step { open: 12, ..Step::default() });
    });
    assert!(ring.bytes() < 300, "{}", ring.bytes());
}
