//! What is made of an event once, however often it is asked for.

use std::fmt;
use std::sync::OnceLock;

/// A place for something that is made of other fields of the same value when it is first asked
/// for. It is no part of that value: two values are equal whatever their places hold, it is never
/// written, and a clone begins with an empty one. So whoever wants to change a field on which it
/// rests changes it in a clone, or before anybody asks.
pub(crate) struct Memo<T>(OnceLock<T>);

impl<T> Memo<T> {
    /// What is there, or what `make` makes.
    pub(crate) fn get_or(&self, make: impl FnOnce() -> T) -> &T {
        self.0.get_or_init(make)
    }
}

impl<T> Default for Memo<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T> Clone for Memo<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T> PartialEq for Memo<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> fmt::Debug for Memo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memo")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_asks_again() {
        let memo = Memo::default();
        assert_eq!((*memo.get_or(|| 1), *memo.get_or(|| 2)), (1, 1));
        assert_eq!(*memo.clone().get_or(|| 3), 3);
        assert_eq!(memo, Memo::default());
    }
}
