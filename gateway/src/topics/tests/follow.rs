//! Topics whose Channel changes, or is another one, while they are joined.

use super::remote::{Remote, remote};
use super::*;
use crds::pattern::TopicPattern;

/// Channel `name` has the topic `a`; `juggernaut`: its apps are told of sessions.
fn channel(name: &str, juggernaut: bool) -> Arc<Policy> {
    let mut policy = policy(name, 1000, false);
    policy.topics = vec![TopicPattern::parse("a").expect("a pattern")];
    policy.ingest.juggernaut = juggernaut;
    Arc::new(policy)
}

/// Channel `one` has the topic, and may pass it to `two`.
fn of_one() -> (Remote, Arc<Policy>, Arc<Policy>) {
    let (mut remote, one) = (remote(), channel("one", false));
    remote.apply(&one);
    (remote, one, channel("two", false))
}

impl Remote {
    fn apply(&mut self, policy: &Arc<Policy>) {
        self.world.policy = policy.clone();
        self.world.topics.own.apply(vec![policy.clone()]);
    }

    /// How many topics of the Channel are heard.
    fn count(&self, policy: &Arc<Policy>) -> u32 {
        let topic = Topic::new("a").expect("a topic");
        let target = self.world.topics.target(policy, &topic);
        self.world.topics.own.in_use(&target).1
    }

    /// What the keeper was asked since the last time.
    async fn asked(&self) -> Vec<String> {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        std::mem::take(&mut *self.notes.lock())
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_passes_to_another_channel_is_counted_and_asked_for_as_its() {
    let (mut remote, one, two) = of_one();
    let id = remote.world.topics.join(0, &remote.world.target("a"));
    remote.mail(1).await;
    assert_eq!(remote.asked().await, ["subscribe one"]);
    remote.world.topics.leave(0, id);
    remote.apply(&two);
    assert_eq!((remote.count(&one), remote.count(&two)), (0, 1));
    let again = remote.world.topics.join(0, &remote.world.target("a"));
    assert_eq!(again, id, "it lingered");
    remote.world.topics.read(0, id, Position::NEVER);
    remote.mail(2).await;
    assert_eq!(remote.asked().await, ["read two"]);
    remote.world.topics.leave(0, id);
    let later = clock::now().plus(Duration::from_secs(11));
    remote.world.topics.tick(later);
    remote.asked().await;
    assert_eq!((remote.count(&one), remote.count(&two)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_join_that_was_decided_before_the_topic_passed_is_the_other_channels() {
    let (mut remote, one, two) = of_one();
    let decided = remote.world.target("a");
    remote.apply(&two);
    remote.world.topics.join(0, &decided);
    remote.mail(1).await;
    assert_eq!(remote.asked().await, ["subscribe two"]);
    assert_eq!((remote.count(&one), remote.count(&two)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_topic_keeps_its_channel_while_nobody_has_it() {
    let (mut remote, one, two) = of_one();
    remote.world.topics.join(0, &remote.world.target("a"));
    remote.mail(1).await;
    remote.world.topics.own.apply(Vec::new());
    assert_eq!((remote.count(&one), remote.count(&two)), (1, 0));
    remote.apply(&two);
    assert_eq!((remote.count(&one), remote.count(&two)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn sessions_are_told_of_from_when_the_channel_says_so_and_each_that_was_ends() {
    let mut remote = remote();
    remote.apply(&channel("one", false));
    let id = remote.world.topics.join(0, &remote.world.target("a"));
    remote.mail(1).await;
    let [first, second, third] = [1, 2, 3].map(Session::draw);
    let opens = |remote: &Remote, session| remote.world.topics.entered(id, None, Some(session));
    let closes = |remote: &Remote, session| remote.world.topics.left(id, None, Some(session));
    opens(&remote, first);
    assert_eq!(remote.asked().await, ["subscribe one"]);
    remote.apply(&channel("one", true));
    opens(&remote, second);
    assert_eq!(remote.asked().await, ["opened one"]);
    remote.apply(&channel("two", false));
    opens(&remote, third);
    for session in [first, second, third] {
        closes(&remote, session);
    }
    assert_eq!(remote.asked().await, ["closed one"]);
}
