//! One thing or several: most streams listen to one topic, and should not pay for a list.
//!
//! Owns: nothing else. Pure. Used by: `access`, `limits` and `worker`, for what every open
//! stream keeps.

/// One without an allocation, or any number.
#[derive(Clone, Debug)]
pub enum Few<T> {
    One(T),
    Many(Box<[T]>),
}

impl<T> Few<T> {
    /// All of them, in order.
    #[must_use]
    pub fn all(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    /// All of them, in order, to change.
    pub fn all_mut(&mut self) -> &mut [T] {
        match self {
            Self::One(one) => std::slice::from_mut(one),
            Self::Many(many) => many,
        }
    }
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(mut many: Vec<T>) -> Self {
        if many.len() == 1
            && let Some(one) = many.pop()
        {
            return Self::One(one);
        }
        Self::Many(many.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_one_is_kept_without_a_list() {
        assert!(matches!(Few::from(vec![7]), Few::One(7)));
        assert_eq!(Few::from(vec![1, 2]).all(), [1, 2]);
        assert!(Few::<u8>::from(vec![]).all().is_empty());
    }
}
