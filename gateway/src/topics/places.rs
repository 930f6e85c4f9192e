//! Whether a Channel has room for more topics.
//!
//! Owns: `limits.topics` for those who listen; a keeper in memory counts what is published to itself.
//! Used by: `http::stream`, right before it joins.

use super::Topics;
use crate::broker::Target;
use crds::name::ChannelName;

impl Topics {
    /// Whether all of `targets` may be joined under `limits.topics` of their Channels. Nothing is taken, so
    /// workers that join at the same moment may together exceed it by the topics of their streams.
    #[must_use]
    pub fn have_places(&self, targets: &[Target]) -> bool {
        let mut new: Vec<&ChannelName> = Vec::new();
        targets.iter().all(|target| {
            // What has no hub is about to fail with a better word.
            let Ok(hub) = self.hub(target) else {
                return true;
            };
            let (known, count) = hub.in_use(target);
            if known || target.address.topic().is_none() {
                return true;
            }
            new.push(&target.policy.channel);
            let more = new
                .iter()
                .filter(|&&channel| *channel == target.policy.channel);
            let more = u32::try_from(more.count()).unwrap_or(u32::MAX);
            count.saturating_add(more) <= target.policy.limits.topics
        })
    }
}
