//! What refusals with several causes say to people.
//!
//! Owns: the sentences. Never: decides. Used by: `refusal` alone.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::broker::Declined;
use crate::close::CloseReason;
use crate::metrics::Denied;

/// No rule admits.
pub fn denied(reason: Denied, topic: &str, action: &str) -> String {
    match reason {
        Denied::NoToken => format!(
            "To {action} on {topic:?} a token is needed; send it as Authorization: Bearer, cookie or access_token."
        ),
        Denied::BadToken => {
            format!("The token admits nobody to {action} on {topic:?}; get a new one.")
        }
        Denied::NotAdmitted | Denied::Origin => {
            format!("No rule in spec.access.{action} of the Channel admits this to {topic:?}.")
        }
    }
}

/// What will pass.
pub fn passing(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::Draining => "This gateway shuts down; ask again, another one answers.",
        CloseReason::Capacity => {
            "All places for streams, or for topics, are taken (spec.limits); come back as Retry-After says."
        }
        CloseReason::ClientLimit => {
            "This client has as many streams as spec.limits.streamsPerClient allows; close one."
        }
        CloseReason::Unavailable => {
            "The server behind the Channel cannot be reached or takes no more; ask again."
        }
        CloseReason::Starting => "No configuration was read yet; ask again.",
        CloseReason::Expired
        | CloseReason::Revoked
        | CloseReason::Rotated
        | CloseReason::Stalled
        | CloseReason::Deleted
        | CloseReason::ClientGone => "The stream ended; ask again.",
    }
}

/// The server said no.
pub fn declined(cause: Declined) -> &'static str {
    match cause {
        Declined::Full => {
            "The memory of Redis is full (maxmemory); nothing was published. Give it more, or keep less history."
        }
        Declined::Disk => {
            "Redis cannot save to its disk and takes nothing until it can; nothing was published. Its log says why."
        }
        Declined::Replicas => {
            "Redis has fewer replicas than min-replicas-to-write asks for; nothing was published. Send it again."
        }
        Declined::ReadOnly => {
            "Redis is a replica now, as during a failover; nothing was published. Send it again."
        }
        Declined::Loading => {
            "Redis reads its data or is busy with a script; nothing was published. Send it again."
        }
        Declined::Denied => {
            "Redis does not let the gateway's user publish; ask who runs it to compare its ACL with the line in the README."
        }
        Declined::Cluster => {
            "The part of the Redis cluster that has the topic is down or moves; nothing was published. Send it again."
        }
    }
}
