//! Resuming: nothing is lost and nothing comes twice while history covers the gap; if it does not, one `siar.gap` says so.
//!
//! Owns: what a client that comes back can rely on, over both brokers, through every way to fail.

use crate::{Channel, Follower, Gateway, GatewaySetup, Listener, Redis};

mod cursors; // what may stand in Last-Event-ID, and `since`
mod failures; // Redis cut, flushed, frozen, rolled back
mod gateways; // gateways killed
mod holes; // history too short

/// A Channel that keeps a thousand messages, and whose clients come back at once.
fn kept(name: &str) -> Channel {
    Channel::open(name)
        .history(1000)
        .stream("1s", "100ms", "30m")
}

/// A gateway with the Channel `c` on `redis`.
async fn on(redis: &Redis) -> Gateway {
    GatewaySetup::new()
        .channel(&kept("c"))
        .redis(&redis.url())
        .start()
        .await
}

/// Publishes numbers to the topic `c`.
async fn publish(gateway: &Gateway, numbers: std::ops::Range<usize>) {
    for number in numbers {
        gateway.publish("c", number.to_string()).await;
    }
}

/// The numbers as data.
fn data(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

/// Everything once and in order, and no loss told.
#[track_caller]
fn complete(follower: &Follower, numbers: std::ops::Range<usize>) {
    let seen: Vec<String> = follower
        .messages()
        .into_iter()
        .map(|event| event.data)
        .collect();
    assert_eq!(seen, data(numbers));
    assert_eq!(follower.gaps(), []);
}
