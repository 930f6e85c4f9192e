//! Slots that move to another master, with the topics that are published to meanwhile, and back again.
//!
//! Owns: that nothing is lost on the way. The new owner cannot tell a slot that moved from one that was restored from an
//! older copy, so it begins a new epoch, and each listener is told so once for each way.

use super::*;

/// Slots beside those of the topics, so that many move at once.
const MORE: u16 = 40;
/// Where the fleet's notes are heard, and what raw publishers publish.
const HOME: &str = "siar:{ingest:default}:ledger";

/// Moves these slots to another master and back, so many at once, while messages of all topics pass.
async fn there_and_back(
    cluster: &mut RedisCluster,
    mut trial: Trial,
    slots: &BTreeSet<u16>,
    at_once: usize,
    fault: &str,
) -> Outcome {
    let slots: Vec<u16> = slots.iter().copied().collect();
    trial.breaks();
    for to in [OTHER, VICTIM] {
        for some in slots.chunks(at_once) {
            cluster.move_slots(some, to).await;
        }
        // A slot to which nobody publishes is noticed when gateways look at the cluster, once a second.
        stays(AWAY).await;
        trial.steady.round().await;
    }
    trial.mended(Instant::now());
    trial.end(fault, Told::Reconnect).await
}

/// Who stayed was told of a new epoch once for each way, and who wandered no more often; of other topics nobody was.
#[track_caller]
fn tells_of_each_way(outcome: &Outcome, topics: &BTreeSet<String>) {
    let wrong = |pair: &&Pair| {
        let most = if topics.contains(&pair.topic) { 2 } else { 0 };
        pair.missing > 0
            || pair.gaps.len() > most
            || (stayed(pair) && pair.gaps.len() < most)
            || pair.gaps.iter().any(|reason| reason != "epoch")
    };
    assert_eq!(outcome.verdict.pairs.iter().find(wrong), None);
}

async fn slots_of(cluster: &RedisCluster, topics: &BTreeSet<String>) -> BTreeSet<u16> {
    let mut slots = BTreeSet::new();
    for topic in topics {
        slots.insert(cluster.slot(&key(topic)).await);
    }
    slots
}

#[tokio::test]
async fn slots_moved_one_after_the_other() {
    let (mut cluster, trial, topics) = loaded(VICTIM).await;
    let slots = slots_of(&cluster, &topics).await;
    let fault = "slots moved in series, and back";
    let outcome = there_and_back(&mut cluster, trial, &slots, 1, fault).await;
    tells_of_each_way(&outcome, &topics);
}

#[tokio::test]
async fn many_slots_moved_at_once() {
    let (mut cluster, trial, topics) = loaded(VICTIM).await;
    let mut slots = slots_of(&cluster, &topics).await;
    slots.extend(0..MORE);
    let fault = "slots moved at once, and back";
    let outcome = there_and_back(&mut cluster, trial, &slots, slots.len(), fault).await;
    tells_of_each_way(&outcome, &topics);
}

#[tokio::test]
async fn home_of_the_fleets_notes_moved() {
    let (mut cluster, trial, _) = loaded(VICTIM).await;
    assert_eq!(cluster.owner_of(HOME).await, VICTIM);
    let slots = BTreeSet::from([cluster.slot(HOME).await]);
    let fault = "slot of the fleet's notes moved, and back";
    let outcome = there_and_back(&mut cluster, trial, &slots, 1, fault).await;
    outcome.tells_no_gap();
}
