//! Which servers' subscriptions stand.
//!
//! Owns: the gauge that tells it, and how often those that belong to no topic stood. Never: connects. Used by:
//! `link` and `nodes`, which set it; `redis`, `lease`, which go by it.

use super::topology::Place;
use crate::metrics::Metrics;
use parking_lot::Mutex;
use prometheus::IntCounter;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;

/// How the subscriptions stand that belong to no topic: the fleet's notes and what raw publishers publish. They
/// are all on one connection, since any server of a cluster hears them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plain {
    /// Rises each time that they stand anew; 0 is never.
    pub times: u64,
    /// Whether they stand now.
    pub now: bool,
}

/// The state of all connections for subscriptions to one Redis.
pub struct Standing {
    places: Mutex<HashMap<Place, bool>>,
    plain: watch::Sender<Plain>,
    metrics: Arc<Metrics>,
    /// Names the Redis in metrics.
    label: String,
}

impl Standing {
    /// Nothing stands. `label` names the Redis in metrics.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, label: String) -> Self {
        let standing = Self {
            places: Mutex::default(),
            plain: watch::Sender::default(),
            metrics,
            label,
        };
        standing.tell(false);
        standing.reconnects().inc_by(0);
        standing
    }

    /// Looked up each time, since another keeper of a Redis of this name may have ended and taken it away.
    fn reconnects(&self) -> IntCounter {
        let reconnects = &self.metrics.redis_reconnects;
        reconnects.with_label_values(&[&*self.label])
    }

    /// Whether those of `place` stand.
    #[must_use]
    pub fn of(&self, place: &Place) -> bool {
        self.places.lock().get(place).copied().unwrap_or_default()
    }

    /// Whether those of every server stand, and there is one.
    #[must_use]
    pub fn all(&self) -> bool {
        let places = self.places.lock();
        !places.is_empty() && places.values().all(|stands| *stands)
    }

    /// Follows those that belong to no topic.
    #[must_use]
    pub fn plain(&self) -> watch::Receiver<Plain> {
        self.plain.subscribe()
    }

    /// All that `place` has to hear stands now, or stands no longer.
    pub fn set(&self, place: &Place, stands: bool) {
        let before = self.places.lock().insert(place.clone(), stands);
        if before == Some(true) && !stands {
            self.reconnects().inc();
        }
        // That it is up again is told once a second, when commands are, too.
        if !self.all() {
            self.tell(false);
        }
    }

    /// `place` is no server of this Redis any more.
    pub fn forget(&self, place: &Place) {
        if self.places.lock().remove(place) == Some(true) {
            self.reconnects().inc();
        }
        // That it is up again is told once a second, when commands are, too.
        if !self.all() {
            self.tell(false);
        }
    }

    /// Those that belong to no topic stand; for [`Self::plain_ended`].
    #[must_use]
    pub fn plain_stands(&self) -> u64 {
        let mut times = 0;
        self.plain.send_modify(|plain| {
            plain.times += 1;
            plain.now = true;
            times = plain.times;
        });
        times
    }

    /// They do not any more, unless they have stood elsewhere since.
    pub fn plain_ended(&self, times: u64) {
        self.plain.send_if_modified(|plain| {
            let ends = plain.now && plain.times == times;
            plain.now &= !ends;
            ends
        });
    }

    /// Sets the gauge: it is up when `commands` are, too. Called once a second.
    pub fn tell(&self, commands: bool) {
        let up = self.metrics.redis_up.with_label_values(&[&*self.label]);
        up.set(i64::from(commands && self.all()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::redis::topology::Node;
    use prometheus::Registry;

    fn place(host: &str) -> Place {
        Place {
            node: Node::new(host, 6379),
            sharded: false,
        }
    }

    fn standing() -> Standing {
        let metrics = Metrics::new(&Registry::new(), "test").unwrap();
        Standing::new(metrics, "redis:6379".into())
    }

    fn figures(standing: &Standing) -> (i64, u64) {
        let up = standing.metrics.redis_up.with_label_values(&["redis:6379"]);
        (up.get(), standing.reconnects().get())
    }

    #[test]
    fn it_is_up_when_all_servers_are() {
        let standing = standing();
        let (a, b) = (place("a"), place("b"));
        assert!(!standing.all());
        standing.set(&a, true);
        standing.set(&b, false);
        assert!(!standing.all() && standing.of(&a) && !standing.of(&b));
        standing.forget(&b);
        assert!(standing.all());
        standing.tell(true);
        assert_eq!(figures(&standing), (1, 0));
        standing.set(&a, false);
        assert_eq!(figures(&standing), (0, 1));
    }

    #[test]
    fn an_end_after_the_next_beginning_is_none() {
        let standing = standing();
        let plain = standing.plain();
        let first = standing.plain_stands();
        let second = standing.plain_stands();
        standing.plain_ended(first);
        assert_eq!(
            *plain.borrow(),
            Plain {
                times: 2,
                now: true
            }
        );
        standing.plain_ended(second);
        assert_eq!(
            *plain.borrow(),
            Plain {
                times: 2,
                now: false
            }
        );
    }
}
