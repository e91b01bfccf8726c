//! Values with small numbers: what a token of epoll stands for.

#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// The number that the next value gets.
    pub(crate) fn next(&self) -> u32 {
        self.free.last().copied().unwrap_or(u32::try_from(self.slots.len()).unwrap_or(u32::MAX))
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let number = self.next();
        if self.free.pop().is_some()
            && let Some(slot) = self.slots.get_mut(number as usize)
        {
            *slot = Some(value);
        } else {
            self.slots.push(Some(value));
        }
        number
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.slots.get_mut(number as usize)?.as_mut()
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        let value = self.slots.get_mut(number as usize)?.take()?;
        self.free.push(number);
        Some(value)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.free.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again() {
        let mut slab = Slab::new();
        assert_eq!([slab.insert('a'), slab.insert('b')], [0, 1]);
        assert_eq!(slab.remove(0), Some('a'));
        assert_eq!((slab.remove(0), slab.len()), (None, 1));
        assert_eq!(slab.next(), 0);
        assert_eq!(slab.insert('c'), 0);
        assert_eq!(slab.get_mut(1), Some(&mut 'b'));
        slab.clear();
        assert_eq!((slab.len(), slab.insert('d')), (0, 0));
    }
}
