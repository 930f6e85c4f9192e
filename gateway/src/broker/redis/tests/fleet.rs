//! Several gateways on one server.

use super::server::{DEADLINE, FLASK, Gateway, JUGGERNAUT, Server, ingesting, policy};
use crate::broker::{Arrival, Broker, PresencePart};
use crate::clock;
use crate::close::GapReason;
use crate::message::Session;
use crds::policy::Policy;
use futures_util::future::OptionFuture;
use redis::{PushInfo, PushKind, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A gateway that has `policy` and is joined to `topic`.
async fn joined(server: &Server, policy: &Arc<Policy>, topic: &str) -> Gateway {
    let gateway = Gateway::new(server);
    gateway.broker.apply(vec![policy.clone()]);
    let target = gateway.target(policy, topic);
    gateway.broker.subscribe(target).await.unwrap();
    gateway
}

/// Two gateways that have heard the first message; one of them numbers.
async fn pair(server: &Server) -> (Gateway, Gateway) {
    let policy = ingesting("sse", 100, &["sse"], FLASK);
    let one = joined(server, &policy, "sse").await;
    let two = joined(server, &policy, "sse").await;
    raw(server, 0).await;
    assert_eq!(take(&two, 1).await, (numbers(0..1), 0));
    (one, two)
}

/// The data of the next frames, and the losses in between.
async fn take(gateway: &Gateway, count: usize) -> (Vec<String>, usize) {
    let (mut data, mut losses) = (Vec::new(), 0);
    while data.len() < count {
        match gateway.next().await {
            Arrival::Frame { frame, .. } => data.push(frame.message().data().to_owned()),
            Arrival::Lost { reason, .. } => {
                assert_eq!(reason, GapReason::Ingest);
                losses += 1;
            }
            Arrival::Interrupted { .. } | Arrival::Resumed { .. } => {}
        }
    }
    (data, losses)
}

async fn raw(server: &Server, number: usize) {
    let payload = format!(r#"{{"data": "{number}"}}"#);
    server.ask(&["PUBLISH", "sse", &payload]).await;
}

fn numbers(numbers: impl Iterator<Item = usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn one_gateway_numbers_and_all_deliver() {
    let server = Server::start().await;
    let policy = ingesting("sse", 100, &["sse"], FLASK);
    let one = joined(&server, &policy, "sse").await;
    let two = joined(&server, &policy, "sse").await;
    for number in 0..20 {
        raw(&server, number).await;
    }
    for gateway in [&one, &two] {
        assert_eq!(take(gateway, 20).await, (numbers(0..20), 0));
    }
}

#[tokio::test]
async fn a_dead_holder_is_followed_and_the_loss_told_once() {
    let server = Server::start().await;
    let (one, two) = pair(&server).await;
    // Dropped without a word, as a process that is killed.
    drop(one);
    let reason = timeout(DEADLINE, async {
        loop {
            if let Arrival::Lost { reason, .. } = two.next().await {
                return reason;
            }
        }
    });
    assert_eq!(reason.await.unwrap(), GapReason::Ingest);
    two.broker
        .desk
        .ready
        .subscribe()
        .wait_for(|ready| *ready)
        .await
        .unwrap();
    raw(&server, 1).await;
    assert_eq!(take(&two, 1).await, (numbers(1..2), 0));
}

#[tokio::test]
async fn a_planned_hand_over_loses_nothing_and_keeps_the_order() {
    let server = Server::start().await;
    let policy = ingesting("sse", 1000, &["sse"], FLASK);
    let one = joined(&server, &policy, "sse").await;
    let two = joined(&server, &policy, "sse").await;
    let publishing = async {
        for number in 0..400 {
            raw(&server, number).await;
        }
    };
    let leaving = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        one.broker.hand_over().await;
    };
    tokio::join!(publishing, leaving);
    assert!(!one.broker.ingest.gate.is_open());
    assert!(two.broker.ingest.gate.is_open());
    assert_eq!(take(&two, 400).await, (numbers(0..400), 0));
}

/// How many losses arrive within `time`.
async fn losses_in(gateway: &Gateway, time: Duration) -> u32 {
    let mut losses = 0;
    let mut end = std::pin::pin!(tokio::time::sleep(time));
    loop {
        tokio::select! {
            () = &mut end => return losses,
            arrival = gateway.next() => losses += u32::from(matches!(arrival, Arrival::Lost { .. })),
        }
    }
}

#[tokio::test]
async fn what_a_holder_lost_is_told_before_it_leaves() {
    let server = Server::start().await;
    let (one, two) = pair(&server).await;
    one.broker.ingest.gate.lose();
    one.broker.hand_over().await;
    assert_eq!(losses_in(&two, Duration::from_millis(500)).await, 1);
}

#[tokio::test]
async fn whoever_loses_all_the_time_tells_it_once_a_second() {
    let server = Server::start().await;
    let policy = ingesting("sse", 100, &["sse"], FLASK);
    let one = joined(&server, &policy, "sse").await;
    raw(&server, 0).await;
    assert_eq!(take(&one, 1).await, (numbers(0..1), 0));
    let began = clock::now().steady;
    let losing = async {
        for _ in 0..100 {
            one.broker.ingest.gate.lose();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (losses, ()) = tokio::join!(losses_in(&one, Duration::from_millis(2500)), losing);
    let most = began.elapsed().as_secs() + 1;
    assert!(
        (1..=most).contains(&u64::from(losses)),
        "{losses} of {most}"
    );
}

#[tokio::test]
async fn a_lease_that_was_given_back_is_taken_without_a_loss() {
    let server = Server::start().await;
    let policy = ingesting("sse", 100, &["sse"], FLASK);
    let one = joined(&server, &policy, "sse").await;
    one.broker.hand_over().await;
    drop(one);
    let two = joined(&server, &policy, "sse").await;
    raw(&server, 0).await;
    assert_eq!(take(&two, 1).await, (numbers(0..1), 0));
}

/// Whoever takes it next then tells its streams that raw messages may be missing.
#[tokio::test]
async fn a_lease_is_not_given_back_as_clean_beside_others_that_cannot_take_it() {
    let server = Server::start().await;
    let policy = ingesting("sse", 100, &["sse"], FLASK);
    for (others, clean) in [(false, "1"), (true, "0")] {
        let gateway = joined(&server, &policy, "sse").await;
        let keys = gateway.broker.history.keys.clone();
        // Hears the offer, and does not answer.
        let control = keys.control();
        let other = OptionFuture::from(others.then(|| listen(&server, &control))).await;
        gateway.broker.hand_over().await;
        let said = server.ask(&["HGET", &keys.ledger(), "clean"]).await;
        assert_eq!(said, Value::BulkString(clean.into()), "{others}");
        drop(other);
    }
}

/// As when the offer is lost on its way: nobody heard raw messages for a moment.
#[tokio::test]
async fn a_lease_that_another_gave_back_while_this_one_lived_is_taken_with_a_loss() {
    let server = Server::start().await;
    let keys = Gateway::new(&server).broker.history.keys.clone();
    let (lease, ledger) = (keys.lease(), keys.ledger());
    server
        .ask(&["SET", &lease, "another 5", "PX", "60000"])
        .await;
    let held = ["HSET", &ledger, "token", "5", "clean", "0", "ready", "0"];
    server.ask(&held).await;
    let policy = ingesting("sse", 100, &["sse"], FLASK);
    let gateway = joined(&server, &policy, "sse").await;
    let mut ready = gateway.broker.desk.ready.subscribe();
    ready.wait_for(|ready| !ready).await.unwrap();
    server.ask(&["HSET", &ledger, "clean", "1"]).await;
    server.ask(&["DEL", &lease]).await;
    ready.wait_for(|ready| *ready).await.unwrap();
    raw(&server, 0).await;
    assert_eq!(take(&gateway, 1).await, (numbers(0..1), 1));
}

#[tokio::test]
async fn presence_is_gathered_from_the_others() {
    let server = Server::start().await;
    let policy = Arc::new(policy("orders", 10));
    let one = joined(&server, &policy, "orders").await;
    let two = joined(&server, &policy, "orders").await;
    let three = joined(&server, &policy, "orders").await;
    for (gateway, streams) in [(&two, 2), (&three, 3)] {
        gateway
            .broker
            .answer_presence(Arc::new(move |_| PresencePart {
                streams,
                identities: vec![format!("user {streams}").into()],
            }));
    }
    let address = one.target(&policy, "orders").address;
    let parts = one.broker.ask_presence(address.clone()).await;
    let mut streams: Vec<_> = parts
        .iter()
        .map(|part| part.as_ref().map(|part| part.streams))
        .collect();
    streams.sort_unstable();
    assert_eq!(streams, [Some(2), Some(3)]);
    server.signal("STOP");
    let parts = one.broker.ask_presence(address).await;
    server.signal("CONT");
    assert_eq!(parts, [None]);
}

/// Everything published to channels that match `pattern`.
async fn listen(server: &Server, pattern: &str) -> (mpsc::Receiver<(String, String)>, impl Sized) {
    let (sender, heard) = mpsc::channel(1000);
    let text = |value: &Value| match value {
        Value::BulkString(text) => String::from_utf8(text.clone()).unwrap(),
        other => panic!("no text: {other:?}"),
    };
    let config = redis::AsyncConnectionConfig::new().set_push_sender(move |push: PushInfo| {
        if push.kind == PushKind::PMessage {
            sender
                .try_send((text(&push.data[1]), text(&push.data[2])))
                .unwrap();
        }
        Ok::<_, redis::aio::SendError>(())
    });
    let url = format!("redis://127.0.0.1:{}?protocol=resp3", server.port);
    let client = redis::Client::open(url).unwrap();
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .unwrap();
    connection.psubscribe(pattern).await.unwrap();
    (heard, connection)
}

#[tokio::test]
async fn sessions_are_told_once_and_a_dead_gateways_by_another() {
    let server = Server::start().await;
    let (mut heard, _connection) = listen(&server, "app:juggernaut:*").await;
    let mut policy = (*ingesting("chat", 0, &["chat"], JUGGERNAUT)).clone();
    policy.prefix = "app:".into();
    let policy = Arc::new(policy);
    let one = joined(&server, &policy, "chat").await;
    let two = joined(&server, &policy, "chat").await;
    let target = one.target(&policy, "chat");
    let ana = Session::draw(1);
    // More than one call of the script tells of.
    let visitors: Vec<Session> = (2..252).map(Session::draw).collect();
    one.broker.session_opened(&target, Some(&"ana".into()), ana);
    for &visitor in &visitors {
        one.broker.session_opened(&target, None, visitor);
    }
    one.broker.session_closed(&target, Some(&"ana".into()), ana);
    let mut next = async || timeout(DEADLINE, heard.recv()).await.unwrap().unwrap();
    let of_ana = format!(r#"{{"channel":"chat","meta":"ana","session_id":"{ana}"}}"#);
    let of_visitor = |visitor| format!(r#"{{"channel":"chat","session_id":"{visitor}"}}"#);
    let (joins, leaves) = ("app:juggernaut:subscribe", "app:juggernaut:unsubscribe");
    assert_eq!(next().await, (joins.into(), of_ana.clone()));
    for &visitor in &visitors {
        assert_eq!(next().await, (joins.into(), of_visitor(visitor)));
    }
    assert_eq!(next().await, (leaves.into(), of_ana));
    // Killed; the other tells what is owed, as soon as the first is known to be gone.
    drop(one);
    let mut left = BTreeSet::new();
    for _ in &visitors {
        let (channel, text) = next().await;
        assert_eq!(channel, leaves);
        assert!(left.insert(text.clone()), "{text} twice");
    }
    let owed: BTreeSet<String> = visitors.iter().copied().map(of_visitor).collect();
    assert_eq!(left, owed);
    two.broker.hand_over().await;
}
