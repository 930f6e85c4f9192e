//! The only place that draws by chance.
//!
//! Owns: the seeds of everybody else's generators. Used by: whoever makes one.

use rand::distr::{Distribution, StandardUniform};

/// A seed.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "everybody else takes a seed")]
pub fn random<T>() -> T
where
    StandardUniform: Distribution<T>,
{
    rand::random()
}
