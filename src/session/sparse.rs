//! Values that are nearly always the same: a program may keep a million sessions, and the usual value takes
//! no memory.

use std::ops::Deref;

/// A type with a value that nearly always occurs.
pub(crate) trait Usual: Clone + PartialEq + 'static {
    const USUAL: &'static Self;
}

/// A value in a box, or the usual one without a box.
#[derive(Clone)]
pub(crate) struct Sparse<T>(Option<Box<T>>);

impl<T: Usual> Sparse<T> {
    /// Changes the value.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut T)) {
        let mut value = self.0.take().map_or_else(|| T::USUAL.clone(), |value| *value);
        change(&mut value);
        *self = value.into();
    }
}

impl<T: Usual> Deref for Sparse<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::USUAL)
    }
}

impl<T: Usual> From<T> for Sparse<T> {
    fn from(value: T) -> Self {
        Self((value != *T::USUAL).then(|| Box::new(value)))
    }
}

impl<T> Default for Sparse<T> {
    fn default() -> Self {
        Self(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Usual for u32 {
        const USUAL: &'static Self = &7;
    }

    #[test]
    fn only_an_unusual_value_is_in_a_box() {
        let mut value = Sparse::from(7);
        for (set, is_boxed) in [(7, false), (8, true), (9, true), (7, false)] {
            value.change(|it| *it = set);
            assert_eq!((*value, value.0.is_some()), (set, is_boxed));
        }
        assert_eq!(*Sparse::<u32>::default(), 7);
    }
}
