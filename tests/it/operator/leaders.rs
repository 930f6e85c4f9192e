//! Several operators: who leads, and all that was ever published.

use super::*;
use crds::name::ChannelName;
use std::time::{Duration, Instant};
use tests::published;
use tests::wait::until_time;

/// The Secrets of the home namespace.
pub const SECRETS: &str = "/api/v1/namespaces/siar/secrets";
/// The Channels of the team.
pub const CHANNELS: &str = "/apis/siar.dev/v1alpha1/namespaces/shop/channels";
/// The Leases of the home namespace.
pub const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/siar/leases";
/// A lease that nobody gives back is free within this time, whatever the machine does.
pub const TAKEOVER: Duration = Duration::from_secs(90);

/// Another replica of the operator of the fleet `default`.
pub fn replica(name: &str) -> OperatorSetup {
    OperatorSetup::new()
        .pod(name)
        .flag("--identity", name)
        .flag("--log", "info,operator=debug")
}

/// Whether it believes to lead.
pub async fn leads(operator: &Operator) -> bool {
    operator.metrics().await.sum("siar_operator_leader", &[]) > 0.0
}

/// Waits until it leads; answers how long that took.
pub async fn until_leads(operator: &Operator, limit: Duration) -> Duration {
    let begin = Instant::now();
    let what = format!("{} to lead", operator.pod());
    until_time(limit, what, || async {
        let leads = leads(operator).await;
        leads.then_some(()).ok_or_else(|| operator.log())
    })
    .await;
    begin.elapsed()
}

/// Waits until it does not lead.
pub async fn until_follows(operator: &Operator) {
    let what = format!("{} not to lead", operator.pod());
    until_time(Duration::from_secs(40), what, || async {
        (!leads(operator).await)
            .then_some(())
            .ok_or_else(|| operator.log())
    })
    .await;
}

impl World {
    /// Applies `orders` with a description of how often it was changed.
    pub async fn change(&self, name: &str, count: usize) {
        self.apply(&numbered(name, count)).await;
    }

    /// Waits until the newest form of a Channel is published, and every gateway serves it.
    pub async fn until_served(&self, name: &str) {
        self.until_condition(name, "Ready", "True", "Ready").await;
        let generation = self.channel(name).await["metadata"]["generation"].clone();
        let secret = self.fleet.secret().await.expect("it is published");
        assert_eq!(generation_of(&secret, name), generation.as_i64());
    }

    /// The holders of the Lease since a version, each once for each time that it got it.
    pub async fn holders(&self, since: &str) -> Vec<String> {
        let leases = self.cluster.versions(LEASES, "siar-operator", since).await;
        let holders = leases.iter().map(|lease| {
            let holder = lease["spec"]["holderIdentity"].as_str();
            holder.unwrap_or_default().to_owned()
        });
        let mut holders: Vec<String> = holders.filter(|holder| !holder.is_empty()).collect();
        holders.dedup();
        holders
    }

    /// Checks every version of the published Secret since then: no Channel was ever replaced by an older form of it, and
    /// those that `always` names were never missing. Answers how many versions there were.
    pub async fn never_went_back(&self, since: &str, always: &[&str]) -> usize {
        let versions = self.cluster.versions(SECRETS, "siar-default", since).await;
        let mut newest = std::collections::BTreeMap::new();
        for secret in &versions {
            for policy in published::read(secret).policies() {
                let (name, now) = (
                    policy.channel.name(),
                    generation_of(secret, policy.channel.name()),
                );
                let before = newest.insert(name.to_owned(), now);
                assert!(
                    before <= Some(now),
                    "{name} went from {before:?} to {now:?}"
                );
            }
            for name in always {
                assert!(
                    generation_of(secret, name).is_some(),
                    "{name} was withdrawn"
                );
            }
        }
        versions.len()
    }
}

/// An open Channel whose spec differs with `count`.
pub fn numbered(name: &str, count: usize) -> Channel {
    open(name).topics(&[name, &format!("{name}.n{count}")])
}

/// The generation of a Channel in force.
pub fn generation_of(secret: &Value, name: &str) -> Option<i64> {
    let snapshot = published::read(secret);
    let form = snapshot.form(&ChannelName::new(SHOP, name));
    form.map(|form| form.generation)
}
