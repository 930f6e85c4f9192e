//! One function for each promise of a keeper, on topics of its own.

use super::{Keeper, offsets, policy, publication, target, the_last};
use crate::broker::{PAGE_BYTES, PAGE_MESSAGES, Pick, PublishError, Published, Since};
use crate::close::GapReason;
use crate::message::Session;
use crate::position::{Epoch, Position};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// Every promise. The keeper must know no topic of the Channels named `contract-…` yet.
pub async fn all(keeper: &Keeper) {
    numbers_are_dense_and_arrive_in_order(keeper).await;
    a_topic_never_published_to_stands_at_zero(keeper).await;
    what_was_numbered_before_is_in_the_lineage(keeper).await;
    nothing_arrives_after_unsubscribing(keeper).await;
    history_keeps_the_newest_and_tells_the_loss(keeper).await;
    pages_are_bounded_and_follow_each_other(keeper).await;
    what_may_be_large_is_read_in_small_steps(keeper).await;
    a_live_only_channel_numbers_and_keeps_nothing(keeper).await;
    cursors_of_unknown_epochs_start_at_the_oldest_with_a_gap(keeper).await;
    a_key_publishes_once(keeper).await;
    a_feed_numbers_what_its_members_do(keeper).await;
    a_start_is_found_by_count_and_by_time(keeper).await;
    a_frame_comes_back_from_history_as_it_came_live(keeper).await;
}

async fn numbers_are_dense_and_arrive_in_order(keeper: &Keeper) {
    let target = target(&keeper.channel("dense", 100, false), "contract-dense");
    let lineage = keeper
        .broker
        .subscribe(target.clone())
        .await
        .expect("lineage");
    assert_eq!(lineage.last, 0);
    let last = keeper.publish_all(&target, 20).await;
    assert_eq!(last.offset, 20);
    let frames = keeper.arrivals.frames(&target.address, 20).await;
    assert_eq!(offsets(&frames), Vec::from_iter(1..=20));
    for frame in &frames {
        let position = frame.position().expect("numbered");
        assert_eq!((position.epoch, frame.first()), (last.epoch, 1));
        assert_eq!(frame.message().data(), position.offset.to_string());
    }
}

async fn a_topic_never_published_to_stands_at_zero(keeper: &Keeper) {
    let target = target(&keeper.channel("never", 10, false), "contract-never");
    let lineage = keeper
        .broker
        .lineage(target.address.clone())
        .await
        .expect("lineage");
    assert_eq!(lineage.position(), Position::NEVER);
    let read = keeper.broker.read(target.clone(), Position::NEVER).await;
    let page = read.expect("page");
    assert_eq!((page.lost, page.frames.len(), page.more), (None, 0, false));
    assert!(keeper.newest(&target, the_last(10)).await.is_empty());
}

async fn what_was_numbered_before_is_in_the_lineage(keeper: &Keeper) {
    let target = target(&keeper.channel("before", 10, false), "contract-before");
    let last = keeper.publish_all(&target, 3).await;
    let lineage = keeper
        .broker
        .subscribe(target.clone())
        .await
        .expect("lineage");
    assert_eq!(lineage.position(), last);
    keeper.publish(&target, "4").await;
    let offsets = keeper.arrivals.offsets(&target.address, 1).await;
    assert_eq!(offsets, [4]);
}

async fn nothing_arrives_after_unsubscribing(keeper: &Keeper) {
    let policy = keeper.channel("left", 10, false);
    let (left, other) = (
        target(&policy, "contract-left"),
        target(&policy, "contract-stays"),
    );
    for target in [&left, &other] {
        keeper
            .broker
            .subscribe(target.clone())
            .await
            .expect("lineage");
    }
    keeper.publish(&left, "1").await;
    keeper.arrivals.frames(&left.address, 1).await;
    keeper.broker.unsubscribe(left.address.clone()).await;
    keeper.publish(&left, "2").await;
    keeper.publish(&other, "1").await;
    keeper.arrivals.frames(&other.address, 1).await;
    assert_eq!(offsets(&keeper.arrivals.arrived(&left.address)), [1]);
    let lineage = keeper
        .broker
        .subscribe(left.clone())
        .await
        .expect("lineage");
    assert_eq!(lineage.last, 2, "numbers go on while nobody listens");
}

async fn history_keeps_the_newest_and_tells_the_loss(keeper: &Keeper) {
    let target = target(&keeper.channel("short", 3, false), "contract-short");
    let last = keeper.publish_all(&target, 5).await;
    let read = async |offset| {
        let cursor = Position { offset, ..last };
        let page = keeper
            .broker
            .read(target.clone(), cursor)
            .await
            .expect("page");
        (page.lost, page.from.offset, offsets(&page.frames))
    };
    assert_eq!(read(1).await, (Some(GapReason::TooOld), 2, vec![3, 4, 5]));
    assert_eq!(read(2).await, (None, 2, vec![3, 4, 5]));
    assert_eq!(read(4).await, (None, 4, vec![5]));
    assert_eq!(read(5).await, (None, 5, vec![]));
    assert_eq!(keeper.newest(&target, the_last(2)).await, [4, 5]);
}

async fn pages_are_bounded_and_follow_each_other(keeper: &Keeper) {
    let policy = keeper.channel("pages", 1000, false);
    let many = target(&policy, "contract-many");
    let last = keeper.publish_all(&many, 250).await;
    let mut cursor = Position { offset: 0, ..last };
    let mut sizes = Vec::new();
    loop {
        let page = keeper
            .broker
            .read(many.clone(), cursor)
            .await
            .expect("page");
        assert_eq!((page.lost, page.from.offset), (None, cursor.offset));
        sizes.push(page.frames.len());
        cursor = page
            .frames
            .last()
            .and_then(|frame| frame.position())
            .expect("more");
        if !page.more {
            break;
        }
    }
    assert_eq!(
        (sizes, cursor),
        (vec![PAGE_MESSAGES, PAGE_MESSAGES, 50], last)
    );
    let large = target(&policy, "contract-large");
    let half = "x".repeat(PAGE_BYTES / 2);
    for _ in 0..3 {
        let mut publication = publication(&large, &half);
        publication.key.key.truncate(32);
        publication.key.key.push_str(&sizes_key());
        keeper.broker.publish(publication).await.expect("published");
    }
    let page = keeper
        .broker
        .read(large, Position::NEVER)
        .await
        .expect("page");
    assert_eq!((page.frames.len(), page.more), (2, true));
}

async fn what_may_be_large_is_read_in_small_steps(keeper: &Keeper) {
    let mut policy = policy("contract-steps", 30, false);
    policy.limits.message_bytes = 1024 * 1024;
    let policy = Arc::new(policy);
    keeper.broker.apply(vec![policy.clone()]);
    let target = target(&policy, "contract-steps");
    for index in 1..=40 {
        let mut publication = publication(&target, &index.to_string());
        let id = if index % 20 == 5 { "five" } else { "other" };
        publication.message = publication.message.with_id(id).expect("an id");
        keeper.broker.publish(publication).await.expect("published");
    }
    let of = |range: std::ops::RangeInclusive<u64>| range.collect::<Vec<_>>();
    assert_eq!(keeper.newest(&target, the_last(3)).await, of(38..=40));
    assert_eq!(keeper.newest(&target, the_last(20)).await, of(21..=40));
    assert_eq!(keeper.newest(&target, the_last(90)).await, of(11..=40));
    let messages = 90;
    let six = Pick::Last { messages, bytes: 6 };
    assert_eq!(keeper.newest(&target, six).await, of(38..=40));
    let id = |id: &str| Pick::Id(id.into());
    assert_eq!(keeper.newest(&target, id("five")).await, [25]);
    assert!(keeper.newest(&target, id("none")).await.is_empty());
    let (mut cursor, mut heard) = (Position::NEVER, Vec::new());
    loop {
        let read = keeper.broker.read(target.clone(), cursor).await;
        let page = read.expect("a page");
        heard.extend(offsets(&page.frames));
        let frame = page.frames.last().expect("messages");
        cursor = frame.position().expect("numbered");
        if !page.more {
            break;
        }
    }
    assert_eq!(heard, of(11..=40));
}

/// A key of its own for messages that are equal.
fn sizes_key() -> String {
    static NEXT: Mutex<u32> = Mutex::new(0);
    let mut next = NEXT.lock();
    *next += 1;
    next.to_string()
}

async fn a_live_only_channel_numbers_and_keeps_nothing(keeper: &Keeper) {
    let target = target(&keeper.channel("live", 0, false), "contract-live");
    keeper
        .broker
        .subscribe(target.clone())
        .await
        .expect("lineage");
    let last = keeper.publish_all(&target, 3).await;
    assert_eq!(keeper.arrivals.offsets(&target.address, 3).await, [1, 2, 3]);
    let lineage = keeper
        .broker
        .lineage(target.address.clone())
        .await
        .expect("lineage");
    assert_eq!(lineage.position(), last);
    let cursor = Position { offset: 1, ..last };
    let page = keeper.broker.read(target, cursor).await.expect("page");
    assert_eq!((page.lost, page.from), (Some(GapReason::TooOld), last));
    assert_eq!((page.frames.len(), page.more), (0, false));
}

async fn cursors_of_unknown_epochs_start_at_the_oldest_with_a_gap(keeper: &Keeper) {
    let target = target(&keeper.channel("unknown", 2, false), "contract-unknown");
    keeper.publish_all(&target, 3).await;
    let cursor = Position {
        epoch: Epoch::draw(u64::MAX),
        offset: 3,
    };
    let page = keeper.broker.read(target, cursor).await.expect("page");
    assert_eq!((page.lost, page.from.offset), (Some(GapReason::Epoch), 1));
    assert_eq!(offsets(&page.frames), [2, 3]);
}

async fn a_key_publishes_once(keeper: &Keeper) {
    let target = target(&keeper.channel("key", 10, false), "contract-key");
    let keyed = |data: &str, key: &str| {
        let mut publication = publication(&target, data);
        publication.key.key = key.into();
        publication.key.ttl = Duration::from_secs(300);
        keeper.broker.publish(publication)
    };
    let first = keyed("a", "k").await.expect("published");
    assert!(!first.replayed);
    keyed("b", "other").await.expect("published");
    let again = keyed("a", "k").await.expect("known");
    let replayed = true;
    assert_eq!(again, Published { replayed, ..first });
    let conflict = keyed("c", "k").await;
    assert!(
        matches!(conflict, Err(PublishError::Conflict)),
        "{conflict:?}"
    );
    let lineage = keeper
        .broker
        .lineage(target.address.clone())
        .await
        .expect("lineage");
    assert_eq!(lineage.last, 2);
}

async fn a_feed_numbers_what_its_members_do(keeper: &Keeper) {
    let policy = keeper.channel("feed", 10, true);
    let (one, two) = (
        target(&policy, "contract-one"),
        target(&policy, "contract-two"),
    );
    let mut feed = one.clone();
    feed.address = one.address.feed().expect("a feed");
    for target in [&one, &feed] {
        keeper
            .broker
            .subscribe(target.clone())
            .await
            .expect("lineage");
    }
    for (target, data) in [(&one, "a"), (&two, "b"), (&one, "c")] {
        keeper.publish(target, data).await;
    }
    assert_eq!(keeper.arrivals.offsets(&one.address, 2).await, [1, 2]);
    let frames = keeper.arrivals.frames(&feed.address, 3).await;
    assert_eq!(offsets(&frames), [1, 2, 3]);
    let told: Vec<_> = frames
        .iter()
        .map(|frame| (frame.topic().as_str(), frame.message().data()))
        .collect();
    let all = [
        ("contract-one", "a"),
        ("contract-two", "b"),
        ("contract-one", "c"),
    ];
    assert_eq!(told, all);
    let page = keeper
        .broker
        .read(feed, Position::NEVER)
        .await
        .expect("page");
    assert_eq!(offsets(&page.frames), [1, 2, 3]);
    assert_eq!(page.frames[1].topic(), &two.name);
    assert!(keeper.arrivals.arrived(&two.address).is_empty());
}

async fn a_start_is_found_by_count_and_by_time(keeper: &Keeper) {
    let target = target(&keeper.channel("since", 3, false), "contract-since");
    for index in 1..=5 {
        let mut publication = publication(&target, &index.to_string());
        publication.time = index * 1000;
        keeper.broker.publish(publication).await.expect("published");
    }
    let since = async |since| {
        let address = target.address.clone();
        keeper
            .broker
            .since(address, since)
            .await
            .expect("a position")
            .offset
    };
    assert_eq!(since(Since::Messages(2)).await, 3);
    assert_eq!(since(Since::Messages(0)).await, 5);
    assert_eq!(
        since(Since::Messages(9)).await,
        2,
        "the oldest kept, without a gap"
    );
    assert_eq!(since(Since::Time(4000)).await, 3);
    assert_eq!(since(Since::Time(0)).await, 2);
    assert_eq!(since(Since::Time(9000)).await, 5);
}

async fn a_frame_comes_back_from_history_as_it_came_live(keeper: &Keeper) {
    let target = target(&keeper.channel("same", 10, false), "contract-same");
    keeper
        .broker
        .subscribe(target.clone())
        .await
        .expect("lineage");
    let mut publication = publication(&target, "line\r\n\u{1F980} \\ \"quoted\"\0");
    publication.message = publication
        .message
        .with_type("example")
        .and_then(|message| message.with_id("1732-0"))
        .and_then(|message| message.with_except(vec![Session::draw(7)]))
        .expect("fine")
        .with_retry(Some(500));
    keeper.broker.publish(publication).await.expect("published");
    let live = keeper.arrivals.frames(&target.address, 1).await.remove(0);
    let page = keeper
        .broker
        .read(target, Position::NEVER)
        .await
        .expect("page");
    let kept = &page.frames[0];
    assert_eq!(kept.plain().whole(), live.plain().whole());
    assert_eq!(kept.envelope().whole(), live.envelope().whole());
    assert_eq!(kept.message().except(), live.message().except());
    assert_eq!((kept.time(), kept.first()), (live.time(), live.first()));
}
