//! How large the server's answers to questions about history may be.
//!
//! Owns: how many messages one question asks for, and how much all answers on their way hold together.
//! Used by: `history` and `newest`.

use crate::broker::{PAGE_MESSAGES, Target};
use std::sync::Arc;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes of data in one answer, if every message is as large as its Channel lets it be. In the server's JSON
/// a byte that has to be escaped takes up to six.
const ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// Messages that a page reads to know what it goes on from: the oldest, and the one that is left for the next.
pub const BESIDE: usize = 2;
/// Bytes of data in all answers on their way; who asks for more waits.
const ANSWERS_BYTES: usize = 8 * ANSWER_BYTES;
/// What room is counted in, since a semaphore counts to 2^32 only.
const UNIT_BYTES: usize = 1024;

/// How many messages of the Channel are asked for at once, those that a page reads [`BESIDE`] left out.
#[must_use]
pub fn fits(target: &Target) -> usize {
    let bytes = target.policy.limits.message_bytes.max(1);
    let fit = (ANSWER_BYTES / bytes).saturating_sub(BESIDE);
    fit.clamp(1, PAGE_MESSAGES)
}

/// The answers on their way.
#[derive(Clone, Debug)]
pub struct Answers(Arc<Semaphore>);

impl Default for Answers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ANSWERS_BYTES / UNIT_BYTES)))
    }
}

impl Answers {
    /// Waits until they leave room for `messages` of the Channel, which is kept until this is dropped.
    pub async fn room(&self, target: &Target, messages: usize) -> Option<SemaphorePermit<'_>> {
        let bytes = messages.saturating_mul(target.policy.limits.message_bytes);
        let units = bytes.min(ANSWERS_BYTES).div_ceil(UNIT_BYTES);
        self.0.acquire_many(u32::try_from(units).ok()?).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::contract::{policy, target};
    use futures_util::FutureExt;

    fn sized(message_bytes: usize) -> Target {
        let mut policy = policy("orders", 10, false);
        policy.limits.message_bytes = message_bytes;
        target(&Arc::new(policy), "orders")
    }

    #[test]
    fn one_answer_is_bounded_by_what_a_message_may_weigh() {
        assert_eq!(fits(&sized(1024)), PAGE_MESSAGES);
        assert_eq!(fits(&sized(65536)), PAGE_MESSAGES);
        assert_eq!(fits(&sized(1024 * 1024)), 6);
        assert_eq!(fits(&sized(64 * 1024 * 1024)), 1);
    }

    #[test]
    fn who_asks_for_more_than_all_answers_may_hold_waits() {
        let (answers, large) = (Answers::default(), sized(1024 * 1024));
        let held: Vec<_> = (0..8)
            .map(|_| answers.room(&large, 8).now_or_never().expect("room"))
            .collect();
        assert!(answers.room(&large, 1).now_or_never().is_none());
        drop(held);
        let all = answers.room(&large, usize::MAX).now_or_never();
        assert!(all.expect("never more than there is").is_some());
    }
}
