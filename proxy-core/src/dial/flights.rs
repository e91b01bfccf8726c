//! Futures under way at the same time, few of them, each with what is known of it. The first has its place on the stack of
//! whoever waits, so that who needs only one allocates nothing.

use std::pin::Pin;
use std::task::{Context, Poll};

/// Futures under way, each with a label. Dropping it drops them all.
pub(super) struct Flights<'p, F, L> {
    label: Option<L>,
    /// There while its label is.
    first: Pin<&'p mut Option<F>>,
    more: Vec<(L, Pin<Box<F>>)>,
}

impl<'p, F: Future, L> Flights<'p, F, L> {
    /// None yet; the first will be where `place` is.
    pub(super) fn new(place: Pin<&'p mut Option<F>>) -> Self {
        Self { label: None, first: place, more: Vec::new() }
    }

    pub(super) fn push(&mut self, label: L, future: F) {
        if self.label.is_none() {
            self.first.set(Some(future));
            self.label = Some(label);
        } else {
            self.more.push((label, Box::pin(future)));
        }
    }

    pub(super) fn labels(&self) -> impl Iterator<Item = &L> {
        self.label.iter().chain(self.more.iter().map(|(label, _)| label))
    }

    pub(super) fn labels_mut(&mut self) -> impl Iterator<Item = &mut L> {
        self.label.iter_mut().chain(self.more.iter_mut().map(|(label, _)| label))
    }

    /// One that has landed, in the order in which they were begun where several have. Pending while none has, also where
    /// there is none.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(L, F::Output)> {
        if let Some(first) = self.first.as_mut().as_pin_mut()
            && let Poll::Ready(output) = first.poll(cx)
        {
            self.first.set(None);
            if let Some(label) = self.label.take() {
                return Poll::Ready((label, output));
            }
        }
        for n in 0..self.more.len() {
            let polled = self.more.get_mut(n).map_or(Poll::Pending, |(_, future)| future.as_mut().poll(cx));
            if let Poll::Ready(output) = polled {
                let (label, _) = self.more.remove(n);
                return Poll::Ready((label, output));
            }
        }
        Poll::Pending
    }

    /// Gives up one whose label is so; that label.
    pub(super) fn give_up(&mut self, is_so: impl Fn(&L) -> bool) -> Option<L> {
        if self.label.as_ref().is_some_and(&is_so) {
            self.first.set(None);
            return self.label.take();
        }
        let n = self.more.iter().position(|(label, _)| is_so(label))?;
        Some(self.more.remove(n).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{Ready, ready};

    #[tokio::test]
    async fn they_land_in_order_and_the_first_place_is_used_again() {
        let mut place = std::pin::pin!(None::<Ready<u8>>);
        let mut flights = Flights::new(place.as_mut());
        for n in 0..3 {
            flights.push(n, ready(n));
        }
        assert_eq!(flights.labels().count(), 3);
        assert_eq!(flights.give_up(|label| *label == 1), Some(1));
        assert_eq!(flights.give_up(|label| *label == 1), None);
        for n in [0, 2] {
            assert_eq!(std::future::poll_fn(|cx| flights.poll(cx)).await, (n, n));
        }
        flights.push(7, ready(7));
        assert!(flights.more.is_empty());
        assert_eq!(flights.give_up(|_| true), Some(7));
        let mut nothing = tokio_test::task::spawn(std::future::poll_fn(|cx| flights.poll(cx)));
        tokio_test::assert_pending!(nothing.poll());
    }
}
