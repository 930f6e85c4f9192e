//! Sentinels and clusters: masters die, are replaced and come back, and slots move as a whole.

use tests::redis::{RedisCluster, Sentinels};

#[tokio::test]
async fn sentinels_follow_a_failover_and_a_death_and_take_the_dead_back_as_a_replica() {
    let mut group = Sentinels::protected("of-servers", "of-sentinels").await;
    assert_eq!(group.named().await, Some(0));
    let ports: Vec<u16> = (0..3)
        .map(|index| group.sentinel(index).address().port())
        .collect();
    let [a, b, c] = ports[..] else { panic!() };
    let url =
        format!("redis+sentinel://127.0.0.1:{a},127.0.0.1:{b},127.0.0.1:{c}/0?master=mymaster");
    assert_eq!(group.url(), url);
    let set = |value: &str| {
        let mut set = redis::cmd("SET");
        set.arg("key").arg(value);
        set
    };
    let () = group.master().await.run(&mut set("before")).await;
    let (second, _) = group.failover().await;
    assert_ne!(second, 0);
    group.until_in_sync().await;
    let get = |mut get: redis::Cmd| {
        get.arg("key");
        get
    };
    let mut get = get(redis::cmd("GET"));
    assert_eq!(group.master().await.run::<String>(&mut get).await, "before");
    let () = group.master().await.run(&mut set("after")).await;
    group.until_in_sync().await;
    group.server(second).kill9();
    let (third, _) = group.until_master_other_than(second).await;
    group.server(second).start_again().await;
    group.until_in_sync().await;
    assert_eq!(group.named().await, Some(third));
    assert_eq!(group.server(second).run::<String>(&mut get).await, "after");
}

#[tokio::test]
async fn a_frozen_master_is_replaced_and_follows_after_the_thaw() {
    let mut group = Sentinels::start().await;
    group.server(0).freeze();
    let (new, _) = group.until_master_other_than(0).await;
    group.server(0).thaw();
    group.until_in_sync().await;
    assert!(!group.server(0).is_master().await);
    assert_eq!(group.named().await, Some(new));
}

#[tokio::test]
async fn slots_of_a_cluster_move_with_their_keys_and_none_is_left_half_way() {
    let mut cluster = RedisCluster::start().await;
    // Keys with the same tag are in the same slot.
    let slot = cluster.slot("{tag}").await;
    let from = cluster.owner(slot).await;
    for number in 0..250 {
        let mut set = redis::cmd("SET");
        set.arg(format!("{{tag}}{number}")).arg(number);
        let () = cluster.node(from).run(&mut set).await;
    }
    let to = (from + 1) % 3;
    let first = slot - slot % 100;
    let owners_before = cluster.owner(first).await;
    assert_eq!(owners_before, from);
    let slots: Vec<u16> = (first..first + 100).collect();
    cluster.move_slots(&slots, to).await;
    cluster.until_agreed().await;
    for slot in slots {
        assert_eq!(cluster.owner(slot).await, to);
    }
    assert_eq!(cluster.owner_of("{tag}249").await, to);
    let mut count = redis::cmd("CLUSTER");
    count.arg("COUNTKEYSINSLOT").arg(slot);
    assert_eq!(cluster.node(to).run::<i64>(&mut count).await, 250);
    assert_eq!(cluster.node(from).run::<i64>(&mut count).await, 0);
    cluster.move_slot(slot, from).await;
    cluster.until_agreed().await;
    assert_eq!(cluster.owner(slot).await, from);
}

#[tokio::test]
async fn a_replica_of_a_cluster_takes_over_when_asked_and_when_its_master_dies() {
    let mut cluster = RedisCluster::start().await;
    let slot = cluster.slot("key").await;
    let master = cluster.owner(slot).await;
    let () = cluster
        .node(master)
        .run(redis::cmd("SET").arg("key").arg("kept"))
        .await;
    let replica = cluster.replica_of(master).await;
    cluster.failover(replica).await;
    cluster.until_agreed().await;
    assert_eq!(cluster.owner(slot).await, replica);
    cluster.node(replica).kill9();
    cluster.until_elected(master).await;
    cluster.until_agreed().await;
    assert_eq!(cluster.owner_of("key").await, master);
    cluster.node(replica).start_again().await;
    cluster.until_agreed().await;
    assert_eq!(cluster.replica_of(master).await, replica);
    let kept: String = cluster.node(master).run(redis::cmd("GET").arg("key")).await;
    assert_eq!(kept, "kept");
}
