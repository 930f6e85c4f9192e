//! Reading what Redis remembers and keeps of a topic.
//!
//! Owns: metas, pages, and finding a start by count or time. Never: writes; judges a cursor itself.
//! Used by: `redis`; `newest`, which reads backwards; `link`, which reads the metas after an interruption.

use super::answers::{Answers, BESIDE, fits};
use super::commands::{Commands, Failure};
use super::keys::{Keys, Names};
use super::wire;
use crate::address::Address;
use crate::broker::{PAGE_BYTES, Page, Plan, Since, Target, Unavailable};
use crate::close::GapReason;
use crate::frame::Frame;
use crate::position::{Epoch, Lineage, Position};
use redis::Pipeline;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Time for one question.
const LIMIT: Duration = Duration::from_secs(5);
/// How often a page is read that does not fit to what the server remembers; then what is kept there is lost.
const MOST_TRIES: u32 = 3;

/// Reads.
#[derive(Clone)]
pub struct History {
    pub keys: Keys,
    pub commands: Commands,
    pub answers: Answers,
}

/// The answer to `XRANGE`: id, then field and text.
pub type Rows = Vec<(String, Vec<Vec<u8>>)>;
/// One kept message: its offset, and the message unless this version cannot read it.
pub type Kept = (u64, Option<Arc<Frame>>);

impl History {
    #[must_use]
    pub fn new(keys: Keys, commands: Commands) -> Self {
        Self {
            keys,
            commands,
            answers: Answers::default(),
        }
    }

    /// What is remembered of `address`.
    pub async fn lineage(&self, address: &Address) -> Result<Lineage, Unavailable> {
        let names = self.keys.names(address);
        let asked = self.ask(&names, redis::pipe().hgetall(&names.meta)).await;
        let (meta,): (HashMap<String, String>,) =
            asked.map_err(|failure| failure.at("read the meta"))?;
        Ok(lineage(&meta))
    }

    /// The messages kept after `cursor`, at most a page.
    pub async fn read(&self, target: &Target, cursor: Position) -> Result<Page, Unavailable> {
        self.page(target, cursor)
            .await
            .map_err(|failure| failure.at("read history"))
    }

    async fn page(&self, target: &Target, cursor: Position) -> Result<Page, Failure> {
        for _ in 1..MOST_TRIES {
            let (page, from) = self.try_page(target, cursor).await?;
            if !brings_nothing(&page, from) {
                return Ok(page);
            }
        }
        let (mut page, from) = self.try_page(target, cursor).await?;
        if brings_nothing(&page, from) {
            give_up(&mut page);
        }
        Ok(page)
    }

    /// A page, and after which offset its messages were asked for.
    async fn try_page(&self, target: &Target, cursor: Position) -> Result<(Page, u64), Failure> {
        let names = self.keys.names(&target.address);
        let most = fits(target);
        let _room = self.answers.room(target, most + BESIDE).await;
        let mut pipe = redis::pipe();
        pipe.atomic()
            .hgetall(&names.meta)
            .xrange_count(&names.history, "-", "+", 1);
        after(&mut pipe, &names, cursor.offset, most);
        let (meta, oldest, mut rows): (HashMap<String, String>, Rows, Rows) =
            self.ask(&names, &pipe).await?;
        let lineage = lineage(&meta);
        let oldest = first_offset(oldest).unwrap_or(lineage.last + 1);
        let plan = Plan::of(&lineage, oldest, cursor);
        if plan.after != cursor.offset {
            // The room is for one answer.
            rows.clear();
            let mut pipe = redis::pipe();
            after(&mut pipe, &names, plan.after, most);
            (rows,) = self.ask(&names, &pipe).await?;
        }
        let mut page = plan.page(lineage, cursor);
        fill(&mut page, entries(rows), most, PAGE_BYTES);
        Ok((page, plan.after))
    }

    /// The position just before the first message that `since` asks for.
    pub async fn since(&self, address: &Address, since: Since) -> Result<Position, Unavailable> {
        self.start(address, since)
            .await
            .map_err(|failure| failure.at("find the start"))
    }

    async fn start(&self, address: &Address, since: Since) -> Result<Position, Failure> {
        let names = self.keys.names(address);
        let mut pipe = redis::pipe();
        pipe.atomic()
            .hgetall(&names.meta)
            .xrange_count(&names.history, "-", "+", 1);
        let (meta, oldest): (HashMap<String, String>, Rows) = self.ask(&names, &pipe).await?;
        let lineage = lineage(&meta);
        let oldest = first_offset(oldest).unwrap_or(lineage.last + 1);
        let after = match since {
            Since::Messages(count) => lineage
                .last
                .saturating_sub(u64::from(count))
                .max(oldest - 1),
            Since::Time(time) => self.before(&names, time, oldest, lineage.last).await?,
        };
        Ok(lineage.after(after))
    }

    /// The offset before the first message of `time` or later, by halving: offsets are dense.
    async fn before(
        &self,
        names: &Names,
        time: u64,
        oldest: u64,
        last: u64,
    ) -> Result<u64, Failure> {
        let (mut low, mut high) = (oldest, last + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let mut pipe = redis::pipe();
            pipe.xrange_count(&names.history, format!("{middle}-0"), "+", 1);
            let (found,): (Rows,) = self.ask(names, &pipe).await?;
            let earlier = entries(found)
                .into_iter()
                .next()
                .and_then(|(_, frame)| frame)
                .is_some_and(|frame| frame.time() < time);
            if earlier {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low - 1)
    }

    pub async fn ask<T: redis::FromRedisValue>(
        &self,
        names: &Names,
        pipe: &Pipeline,
    ) -> Result<T, Failure> {
        let asked = self
            .commands
            .call(&names.meta, LIMIT, async |mut connection| {
                pipe.query_async(&mut connection).await
            });
        asked.await
    }
}

/// Asks for `most` messages after `offset`, and one more.
fn after(pipe: &mut Pipeline, names: &Names, offset: u64, most: usize) {
    let start = format!("{}-0", offset.saturating_add(1));
    pipe.xrange_count(&names.history, start, "+", most + 1);
}

/// Reads the hash that the script writes.
#[must_use]
pub fn lineage(meta: &HashMap<String, String>) -> Lineage {
    let read = || {
        let last = meta.get("o")?.parse().ok()?;
        let epochs = meta.get("p")?.split(',').map(|pair| {
            let (epoch, first) = pair.split_once(':')?;
            Some((epoch.parse::<Epoch>().ok()?, first.parse().ok()?))
        });
        let epochs = epochs.collect::<Option<Vec<_>>>()?;
        Some(Lineage { epochs, last })
    };
    read().unwrap_or_default()
}

fn first_offset(rows: Rows) -> Option<u64> {
    entries(rows).first().map(|&(offset, _)| offset)
}

/// What the answer holds, each with its offset.
#[must_use]
pub fn entries(rows: Rows) -> Vec<Kept> {
    let kept = rows.into_iter().filter_map(|(id, fields)| {
        let offset = id.split_once('-')?.0.parse().ok()?;
        let text = fields.get(1)?;
        let frame = wire::parse(text)
            .inspect_err(|error| tracing::debug!(%error, offset, "a kept message is unreadable"))
            .ok()
            .filter(|frame| frame.position().is_some_and(|at| at.offset == offset));
        Some((offset, frame.map(Arc::new)))
    });
    kept.collect()
}

/// Takes what follows densely after `page.from`. What is missing or unreadable at the front is told as
/// lost; what is so further on is left to the next page.
fn fill(page: &mut Page, entries: Vec<Kept>, messages: usize, most: usize) {
    if entries.is_empty() && page.from.offset < page.lineage.last {
        // Trimmed or expired between two questions.
        page.lost.get_or_insert(GapReason::TooOld);
        page.from = page.lineage.position();
    }
    let mut next = page.from.offset + 1;
    let mut bytes = 0;
    for (offset, frame) in entries {
        if frame.as_deref().is_some_and(|frame| !page.admits(frame)) {
            // Another epoch, perhaps one that began between two questions. The next page tells.
            page.more = true;
            return;
        }
        if page.frames.is_empty() {
            if offset != next || frame.is_none() {
                let before = if frame.is_some() { offset - 1 } else { offset };
                if before > page.lineage.last {
                    // Numbered since the lineage was read, perhaps in an epoch of which it does not know.
                    page.more = true;
                    return;
                }
                page.lost.get_or_insert(GapReason::TooOld);
                page.from = page.lineage.after(before);
            }
        } else if offset != next || frame.is_none() {
            page.more = true;
            return;
        }
        next = offset + 1;
        let Some(frame) = frame else {
            page.more = true;
            continue;
        };
        bytes += frame.message().bytes();
        let full = !page.frames.is_empty() && bytes > most;
        if full || page.frames.len() == messages {
            page.more = true;
            return;
        }
        page.more = false;
        page.frames.push(frame);
    }
}

/// There is more, but nothing of it fits to what the server remembers.
fn brings_nothing(page: &Page, after: u64) -> bool {
    page.more && page.frames.is_empty() && page.from.offset <= after
}

/// What never fits belongs to nothing that is remembered: it counts as not kept.
fn give_up(page: &mut Page) {
    page.more = false;
    if page.from.offset < page.lineage.last {
        page.lost.get_or_insert(GapReason::TooOld);
        page.from = page.lineage.position();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crds::name::Topic;

    fn kept(offset: u64, readable: bool) -> Kept {
        let epoch = "abcdef".parse().unwrap();
        let position = Some(Position { epoch, offset });
        let topic = Topic::new("a").unwrap();
        let message = Message::new("0123456789").unwrap();
        let frame = Arc::new(Frame::new(topic, message, position, 1, 0));
        (offset, readable.then_some(frame))
    }

    /// A page that begins after 4 of a topic that stood at `last`, and what a second question found.
    fn filled(last: u64, entries: &[(&str, u64)]) -> Page {
        let lineage = Lineage {
            epochs: vec![("abcdef".parse().unwrap(), 1)],
            last,
        };
        let mut page = Page {
            from: lineage.at(4),
            lineage,
            lost: Some(GapReason::Epoch),
            frames: Vec::new(),
            more: false,
        };
        let entries = entries.iter().map(|&(at, first)| {
            let position: Position = at.parse().unwrap();
            let (topic, message) = (Topic::new("a").unwrap(), Message::new("x").unwrap());
            let frame = Frame::new(topic, message, Some(position), first, 0);
            (position.offset, Some(Arc::new(frame)))
        });
        fill(&mut page, entries.collect(), 9, 900);
        page
    }

    #[test]
    fn messages_of_another_line_are_left_to_the_next_page() {
        let page = filled(9, &[("bbbbbb-5", 1), ("bbbbbb-6", 1)]);
        assert!(page.frames.is_empty() && page.more);
        let page = filled(9, &[("abcdef-5", 1), ("bbbbbb-6", 1)]);
        assert!(page.frames.len() == 1 && page.more);
    }

    #[test]
    fn what_never_fits_counts_as_not_kept_and_ends_the_reading() {
        let mut page = filled(9, &[("bbbbbb-5", 1)]);
        assert!(brings_nothing(&page, 4));
        give_up(&mut page);
        assert!(!page.more && page.lost.is_some());
        assert_eq!(page.from.to_string(), "abcdef-9");
        assert!(!brings_nothing(&filled(9, &[("abcdef-5", 1)]), 4));
    }

    #[test]
    fn a_page_never_begins_at_a_number_that_nobody_gave() {
        let page = filled(4, &[("bbbbbb-7", 6), ("bbbbbb-8", 6)]);
        assert_eq!(page.from.to_string(), "abcdef-4");
        assert!(page.frames.is_empty() && page.more);
    }

    #[track_caller]
    fn check(entries: &[(u64, bool)], from: u64, offsets: &[u64], lost: bool, more: bool) {
        let lineage = lineage(&HashMap::from([
            ("o".to_owned(), "90".to_owned()),
            ("p".to_owned(), "abcdef:1".to_owned()),
        ]));
        let mut page = Page {
            from: lineage.at(4),
            lineage,
            lost: None,
            frames: Vec::new(),
            more: false,
        };
        let entries = entries.iter().map(|&(offset, ok)| kept(offset, ok));
        fill(&mut page, entries.collect(), 3, 25);
        let got: Vec<u64> = page
            .frames
            .iter()
            .filter_map(|frame| Some(frame.position()?.offset))
            .collect();
        assert_eq!(got, offsets);
        assert_eq!(page.from.offset, from);
        assert_eq!(page.lost.is_some(), lost, "lost");
        assert_eq!(page.more, more, "more");
    }

    #[test]
    fn a_page_is_dense_and_tells_what_is_missing_before_it() {
        check(&[], 90, &[], true, false);
        check(&[(5, true), (6, true)], 4, &[5, 6], false, false);
        check(&[(7, true), (8, true)], 6, &[7, 8], true, false);
        check(&[(5, true), (7, true)], 4, &[5], false, true);
    }

    #[test]
    fn a_page_ends_at_its_bounds() {
        check(&[(5, true), (6, true), (7, true)], 4, &[5, 6], false, true);
    }

    #[test]
    fn what_a_newer_version_wrote_is_a_gap() {
        check(&[(5, false), (6, true)], 5, &[6], true, false);
        check(&[(5, true), (6, false), (7, true)], 4, &[5], false, true);
        check(&[(5, false), (6, false)], 6, &[], true, true);
    }

    #[test]
    fn a_meta_that_is_not_there_was_never_published_to() {
        assert_eq!(lineage(&HashMap::new()), Lineage::default());
    }
}
