//! All fleets of the home namespace, while this process leads.
//!
//! Owns: starting the work for a fleet when its Deployment appears, and ending it with the lease or, after its last
//! word, with the Deployment. What was known of a fleet is forgotten then: whoever leads next reads it anew. Used by:
//! `app`.

use crate::clock;
use crate::context::Context;
use crate::gateway::{self, collect};
use crate::tasks::Essential;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// So long the work goes on after the Deployment is gone: its Channels are told that nobody serves them. Not longer,
/// since another home may have a fleet of that name by now.
const LAST_WORD: Duration = Duration::from_secs(10);
/// How often it is looked whether that time is over.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The work for one fleet.
struct Work {
    /// Dropping it ends the work.
    _stop: oneshot::Sender<()>,
    /// Since when it has no Deployment any more.
    gone: Option<Instant>,
}

impl Work {
    /// Whether it goes on: while there is a Deployment, and for its last word.
    fn goes_on(&mut self, has_deployment: bool, now: Instant) -> bool {
        if has_deployment {
            self.gone = None;
        } else {
            self.gone.get_or_insert(now);
        }
        self.gone.is_none_or(|since| now < since + LAST_WORD)
    }
}

/// Has every fleet served while this process leads, for ever.
pub async fn run(context: Arc<Context>, essential: Essential) {
    let mut leads = context.leadership.watch();
    let mut changes = context.stores.changes();
    let mut running: BTreeMap<String, Work> = BTreeMap::new();
    loop {
        changes.borrow_and_update();
        let leading = *leads.borrow_and_update();
        let serves = leading && context.stores.are_synced();
        let wanted = if serves {
            collect::gateways(&context.stores)
        } else {
            BTreeSet::new()
        };
        let now = clock::now().steady;
        // Whoever does not lead any more is silent at once.
        running.retain(|name, work| serves && work.goes_on(wanted.contains(name), now));
        for name in wanted {
            running.entry(name).or_insert_with_key(|name| {
                let (stop, stopped) = oneshot::channel::<()>();
                let work = gateway::run(context.clone(), name.clone());
                let stopped = async move { drop(stopped.await) };
                essential.until("gateway", stopped, work);
                Work {
                    _stop: stop,
                    gone: None,
                }
            });
        }
        context
            .metrics
            .retain_fleets(|name| running.contains_key(name));
        let leaving = running.values().any(|work| work.gone.is_some());
        if changed(&mut leads, &mut changes, leaving).await.is_err() {
            return;
        }
    }
}

async fn changed(
    leads: &mut watch::Receiver<bool>,
    changes: &mut watch::Receiver<u64>,
    leaving: bool,
) -> Result<(), watch::error::RecvError> {
    tokio::select! {
        biased;
        changed = leads.changed() => changed,
        changed = changes.changed() => changed,
        () = tokio::time::sleep(LOOK_EVERY), if leaving => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_for_a_fleet_goes_on_for_its_last_word() {
        let (stop, _stopped) = oneshot::channel();
        let mut work = Work {
            _stop: stop,
            gone: None,
        };
        let begin = clock::now().steady;
        let mut check = |has_deployment, seconds, expected| {
            let now = begin + Duration::from_secs(seconds);
            assert_eq!(work.goes_on(has_deployment, now), expected, "{seconds} s");
        };
        check(true, 0, true);
        check(false, 60, true);
        check(false, 69, true);
        // It came back.
        check(true, 69, true);
        check(false, 75, true);
        check(false, 84, true);
        check(false, 85, false);
    }
}
