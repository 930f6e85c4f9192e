//! Where a stream begins: what its cursor means for each of its topics.
//!
//! Owns: the rules for positions, publishers' own ids and everything else that a client may send as the id it
//! saw last. A cursor that means nothing is told as a gap, never refused. Used by: `http::stream`.

use super::request::{Begin, CURSOR_BYTES};
use crate::broker::{Pick, Since, Target, Unavailable};
use crate::clock::Now;
use crate::close::GapReason;
use crate::message::FIELD_BYTES;
use crate::position::{Lineage, Position, parse_cursor};
use crate::topics::Topics;
use crate::worker::cursor::Start;

/// An own id says nothing about the other topics of a stream: they begin this long before its message.
const OTHERS_BEFORE_MILLIS: u64 = 10_000;

/// Finds where each of `targets` begins; `lineages` are what their servers remember.
pub async fn find(
    begin: &Begin,
    targets: &[Target],
    lineages: &[&Lineage],
    topics: &Topics,
    now: Now,
) -> Result<Vec<Start>, Unavailable> {
    let since = match begin {
        Begin::Live => return Ok(vec![Start::Live; targets.len()]),
        Begin::Cursor(cursor) => return resume(cursor, targets, lineages, topics).await,
        Begin::Messages(count) => Since::Messages(*count),
        Begin::Time(time) => Since::Time(
            now.unix
                .saturating_sub(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        ),
    };
    let mut starts = Vec::with_capacity(targets.len());
    for target in targets {
        starts.push(Start::After(topics.since(target, since).await?));
    }
    Ok(starts)
}

async fn resume(
    cursor: &[u8],
    targets: &[Target],
    lineages: &[&Lineage],
    topics: &Topics,
) -> Result<Vec<Start>, Unavailable> {
    let all = |reason| vec![Start::Lost(reason); targets.len()];
    if cursor.len() > CURSOR_BYTES {
        return Ok(all(GapReason::UnknownCursor));
    }
    let Ok(text) = std::str::from_utf8(cursor) else {
        return Ok(all(GapReason::UnknownCursor));
    };
    let positions = parse_cursor(text).ok();
    let known = positions
        .as_ref()
        .is_some_and(|positions| are_ours(positions, lineages));
    if !known && let Some(found) = find_own(text, targets, topics).await? {
        return beside(found, targets, topics).await;
    }
    Ok(match positions {
        Some(positions) if positions.len() == targets.len() => {
            positions.into_iter().map(Start::After).collect()
        }
        Some(_) => all(GapReason::Epoch),
        None => all(GapReason::UnknownCursor),
    })
}

/// Whether a cursor has a position for each topic and at least one of their epochs is known. History then
/// judges each topic alone: what this process has heard of them may be older than the cursor.
fn are_ours(positions: &[Position], lineages: &[&Lineage]) -> bool {
    let listed = |(position, lineage): (&Position, &&Lineage)| lineage.lists(position.epoch);
    positions.len() == lineages.len() && positions.iter().zip(lineages).any(listed)
}

/// A message that a publisher gave an id of its own.
#[derive(Clone, Copy)]
struct Own {
    target: usize,
    position: Position,
    time: u64,
}

/// The newest message with this id among what is kept of all `targets`. They are asked one after the other,
/// since each may look at a thousand messages.
async fn find_own(
    id: &str,
    targets: &[Target],
    topics: &Topics,
) -> Result<Option<Own>, Unavailable> {
    let mut newest: Option<Own> = None;
    if id.len() > FIELD_BYTES {
        return Ok(None);
    }
    for (index, target) in targets.iter().enumerate() {
        if target.policy.history.is_none() {
            continue;
        }
        let found = topics.newest(target, Pick::Id(id.to_owned())).await?;
        let Some(frame) = found.frames.last() else {
            continue;
        };
        if let Some(position) = frame.position()
            && newest.is_none_or(|newest| newest.time < frame.time())
        {
            newest = Some(Own {
                target: index,
                position,
                time: frame.time(),
            });
        }
    }
    Ok(newest)
}

/// The topic of the message goes on after it, the others a little before its time.
async fn beside(own: Own, targets: &[Target], topics: &Topics) -> Result<Vec<Start>, Unavailable> {
    let since = Since::Time(own.time.saturating_sub(OTHERS_BEFORE_MILLIS));
    let mut starts = Vec::with_capacity(targets.len());
    for (index, target) in targets.iter().enumerate() {
        let position = if index == own.target {
            own.position
        } else {
            topics.since(target, since).await?
        };
        starts.push(Start::After(position));
    }
    Ok(starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage(epochs: &[(&str, u64)], last: u64) -> Lineage {
        let epochs = epochs
            .iter()
            .map(|&(epoch, first)| (epoch.parse().unwrap(), first));
        Lineage {
            epochs: epochs.collect(),
            last,
        }
    }

    #[track_caller]
    fn check(cursor: &str, expected: bool) {
        let lineages = [
            lineage(&[("aaaaaa", 1), ("bbbbbb", 6)], 9),
            lineage(&[("cccccc", 1)], 4),
        ];
        let positions = parse_cursor(cursor).unwrap();
        let ours = are_ours(&positions, &lineages.each_ref());
        assert_eq!(ours, expected, "{cursor:?}");
    }

    #[test]
    fn a_cursor_with_one_known_epoch_is_ours() {
        check("bbbbbb-7~cccccc-2", true);
        check("aaaaaa-3~zzzzzz-2", true);
        check("zzzzzz-3~0-0", true);
    }

    #[test]
    fn a_cursor_of_other_topics_or_forgotten_epochs_may_be_an_own_id() {
        check("bbbbbb-7", false);
        check("bbbbbb-7~cccccc-2~cccccc-2", false);
        check("yyyyyy-7~zzzzzz-2", false);
    }
}
