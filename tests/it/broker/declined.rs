//! A server that says no: the publisher is told by name, and nothing was published.
//!
//! Owns: full memory, a full disk, too few replicas, a replica, a server that reads its data, a user without rights.

use crate::{Channel, Gateway, GatewaySetup, Redis};
use serde_json::json;
use tests::manifest::secret;
use tests::redis::Setup as RedisSetup;
use tests::wait::until;

async fn serving(redis: &Redis) -> Gateway {
    let channels = [
        Channel::open("c").history(10),
        Channel::open("live"),
        Channel::open("wild")
            .history(10)
            .with("wildcard", json!(true)),
    ];
    let setup = channels
        .iter()
        .fold(GatewaySetup::new(), |setup, channel| setup.channel(channel));
    let gateway = setup.redis(&redis.url()).start().await;
    for topic in ["c", "live", "wild"] {
        gateway.publish(topic, "first").await;
    }
    gateway
}

/// Sets directives of a running server.
async fn set(redis: &mut Redis, pairs: &[(&str, &str)]) {
    let mut command = redis::cmd("CONFIG");
    command.arg("SET").arg(pairs);
    let () = redis.run(&mut command).await;
}

/// Every Channel is refused with `word`, and takes messages again when `mend` was done: the second ones.
async fn declines(gateway: &Gateway, word: &str, retry_after: &str, mend: impl AsyncFnOnce()) {
    for topic in ["c", "live", "wild"] {
        let answer = gateway.post(&[("channel", topic)], "no").send().await;
        let answer = answer.expect(503);
        assert_eq!(answer.word(), word, "{topic}: {}", answer.text());
        assert_eq!(answer.header("retry-after"), Some(retry_after), "{topic}");
    }
    let refusals = gateway.metrics().await;
    let refused = refusals.sum("siar_refusals_total", &[("refusal", word)]);
    assert!(refused >= 3.0, "{refused}");
    mend().await;
    for topic in ["c", "live", "wild"] {
        let again = until("the server to take messages again", || async {
            let answer = gateway.post(&[("channel", topic)], "second").send().await;
            match answer.status {
                200 => Ok(answer.json()["position"].to_string()),
                _ => Err(answer.text()),
            }
        });
        let position = again.await;
        assert!(position.ends_with("-2\""), "{topic}: {position}");
    }
}

#[tokio::test]
async fn full_memory_is_redis_full() {
    let mut redis = Redis::start().await;
    let gateway = serving(&redis).await;
    set(&mut redis, &[("maxmemory", "1")]).await;
    declines(&gateway, "redis-full", "15", async || {
        set(&mut redis, &[("maxmemory", "0")]).await;
    })
    .await;
    gateway
        .until_logged(&["redis declined a publication", "redis-full"])
        .await;
}

#[tokio::test]
async fn too_few_replicas_are_redis_replicas() {
    let mut redis = Redis::start().await;
    let gateway = serving(&redis).await;
    set(&mut redis, &[("min-replicas-to-write", "1")]).await;
    declines(&gateway, "redis-replicas", "15", async || {
        set(&mut redis, &[("min-replicas-to-write", "0")]).await;
    })
    .await;
}

#[tokio::test]
async fn a_replica_is_redis_read_only() {
    let mut redis = Redis::start().await;
    let mut first = Redis::start().await;
    let gateway = serving(&redis).await;
    // The replica takes over what its master has: nothing of the gateway.
    let port = first.port().to_string();
    let () = redis
        .run(redis::cmd("REPLICAOF").arg("127.0.0.1").arg(&port))
        .await;
    for topic in ["c", "live", "wild"] {
        let answer = gateway.post(&[("channel", topic)], "no").send().await;
        let answer = answer.expect(503);
        assert_eq!(answer.word(), "redis-read-only", "{}", answer.text());
        assert_eq!(answer.header("retry-after"), Some("2"));
    }
    let () = redis
        .run(redis::cmd("REPLICAOF").arg("NO").arg("ONE"))
        .await;
    let answer = gateway.post(&[("channel", "c")], "yes").send().await;
    let _ = answer.expect(200);
    first.kill9();
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_redis_disk() {
    let mut redis = RedisSetup::default()
        .directive("save", "3600 1")
        .start()
        .await;
    let gateway = serving(&redis).await;
    let in_the_way = redis.folder().join("dump.rdb");
    std::fs::create_dir(&in_the_way).unwrap();
    let () = redis.run(&mut redis::cmd("BGSAVE")).await;
    until("the save to fail", || async {
        match gateway
            .post(&[("channel", "c")], "probe")
            .send()
            .await
            .status
        {
            503 => Ok(()),
            status => Err(status.to_string()),
        }
    })
    .await;
    for topic in ["c", "live", "wild"] {
        let answer = gateway.post(&[("channel", topic)], "no").send().await;
        assert_eq!(answer.expect(503).word(), "redis-disk");
    }
    std::fs::remove_dir(&in_the_way).unwrap();
    let () = redis.run(&mut redis::cmd("SAVE")).await;
    gateway.publish("c", "yes").await;
}

#[tokio::test]
async fn a_server_that_reads_its_data_is_redis_loading() {
    let mut redis = RedisSetup::default()
        .directive("key-load-delay", "2000")
        .directive("loading-process-events-interval-bytes", "1024")
        .start()
        .await;
    let mut many = redis::cmd("MSET");
    for at in 0..5000 {
        many.arg(format!("somebody-elses-key-number-{at}")).arg("x");
    }
    let () = redis.run(&mut many).await;
    let gateway = serving(&redis).await;
    redis.save().await;
    redis.kill9();
    redis.start_loading().await;
    // At first the gateway may still be on its way to it.
    let answer = until("the server to say that it reads", || async {
        let answer = gateway.post(&[("channel", "c")], "no").send().await;
        match answer.word().as_str() {
            "redis-loading" => Ok(answer),
            word => Err(word.to_owned()),
        }
    })
    .await;
    assert_eq!(answer.expect(503).header("retry-after"), Some("2"));
}

#[tokio::test]
async fn a_user_without_rights_is_redis_denied() {
    let mut redis = Redis::start().await;
    let all = ["SETUSER", "siar", "on", ">p4ss", "~*", "&*", "+@all"];
    let () = redis.run(redis::cmd("ACL").arg(&all)).await;
    let reference = json!({ "url": redis.url(), "secretRef": { "name": "c-redis" } });
    let documents = vec![
        Channel::open("c")
            .history(10)
            .with("redis", reference)
            .manifest(),
        secret("c-redis", &[("username", "siar"), ("password", "p4ss")]),
    ];
    let mut gateway = GatewaySetup::new().file("c", documents).start().await;
    gateway.publish("c", "first").await;
    for (take, give) in [
        ("-evalsha", "+evalsha"),
        ("-info", "+info"),
        ("-xadd", "+xadd"),
    ] {
        let () = redis
            .run(redis::cmd("ACL").arg(&["SETUSER", "siar", take]))
            .await;
        let answer = gateway.post(&[("channel", "c")], "no").send().await;
        let answer = answer.expect(503);
        assert_eq!(answer.word(), "redis-denied", "{take}: {}", answer.text());
        assert_eq!(answer.header("retry-after"), Some("15"));
        let () = redis
            .run(redis::cmd("ACL").arg(&["SETUSER", "siar", give]))
            .await;
        gateway.publish("c", "yes").await;
    }
    let log = gateway.process().log();
    assert!(
        log.contains("redis-denied") && !log.contains("p4ss"),
        "{log}"
    );
}
