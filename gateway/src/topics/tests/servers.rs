//! Servers that Channels name: who shares a keeper, and what happens when credentials or servers change.

use super::*;
use crds::policy::RedisServer;
use crds::secret::Secret;
use parking_lot::Mutex;
use tokio::sync::watch;

type Seen = Arc<Mutex<Vec<watch::Receiver<Arc<RedisServer>>>>>;

/// Servers whose keepers are memory, with what each keeper was given.
struct Rack {
    servers: Servers,
    given: Seen,
}

impl Rack {
    fn new() -> Self {
        let given = Seen::default();
        let seen = given.clone();
        let servers = Servers::new(Box::new(move |server| {
            seen.lock().push(server);
            let control = Control::new(Handle::current());
            let metrics = Metrics::new(&prometheus::Registry::new(), "test").unwrap();
            Hub::new(
                control,
                Arc::default(),
                Vec::new().into(),
                metrics,
                |sink| Arc::new(Memory::new(sink, 7, Box::new(clock::now))),
            )
        }));
        Self { servers, given }
    }

    fn apply(&self, policies: &[Arc<Policy>]) {
        self.servers.apply(policies.to_vec());
    }

    /// The password that the keeper made as the `at`th has now, and whether anybody still holds it.
    fn password(&self, at: usize) -> (Option<String>, bool) {
        let given = self.given.lock();
        let password = given[at].borrow().password.clone();
        let dropped = given[at].has_changed().is_err();
        (password.map(|text| text.expose().clone()), !dropped)
    }
}

fn server(url: &str, secret: &str, password: Option<&str>) -> RedisServer {
    let mut server = RedisServer::open(url.parse().expect("a URL"));
    server.id.secret = Some(("shop".into(), secret.into()));
    server.password = password.map(|text| Secret::new(text.to_owned()));
    server
}

fn on(name: &str, server: &RedisServer) -> Arc<Policy> {
    let mut policy = policy(name, 10, false);
    policy.redis = Some(Arc::new(server.clone()));
    Arc::new(policy)
}

#[tokio::test]
async fn changed_credentials_reach_the_keeper_that_stands() {
    let rack = Rack::new();
    let before = server("redis://a", "one", Some("old"));
    rack.apply(&[on("orders", &before)]);
    let hub = rack.servers.find(&before.id).expect("made");
    let after = server("redis://a:6379/0", "one", Some("new"));
    rack.apply(&[on("orders", &after)]);
    let same = rack.servers.find(&after.id).expect("it stands");
    assert!(Arc::ptr_eq(&hub, &same));
    assert_eq!(rack.given.lock().len(), 1);
    assert_eq!(rack.password(0), (Some("new".into()), true));
}

#[tokio::test]
async fn channels_on_one_server_with_one_secret_share_a_keeper() {
    let rack = Rack::new();
    let one = server("redis://a", "one", Some("x"));
    rack.apply(&[on("orders", &one), on("sales", &one)]);
    assert_eq!(rack.servers.all().len(), 1);
    let another_secret = server("redis://a", "two", Some("x"));
    let open = RedisServer::open(one.id.url.clone());
    rack.apply(&[
        on("orders", &one),
        on("sales", &another_secret),
        on("chat", &open),
    ]);
    assert_eq!(rack.servers.all().len(), 3);
}

#[tokio::test]
async fn another_server_or_another_secret_is_another_keeper_and_the_old_one_goes() {
    let rack = Rack::new();
    let first = server("redis://a", "one", Some("x"));
    rack.apply(&[on("orders", &first)]);
    for moved in [
        server("redis://b", "one", Some("x")),
        server("redis://b", "two", Some("x")),
    ] {
        rack.apply(&[on("orders", &moved)]);
        rack.servers.forget();
        assert!(rack.servers.find(&moved.id).is_some());
        assert_eq!(rack.servers.all().len(), 1);
    }
    assert_eq!(rack.given.lock().len(), 3);
    assert!(!rack.password(0).1 && !rack.password(1).1 && rack.password(2).1);
}

#[tokio::test]
async fn a_channel_that_came_while_its_secret_was_missing_takes_no_credentials_away() {
    let rack = Rack::new();
    let full = server("redis://a", "one", Some("x"));
    let bare = server("redis://a", "one", None);
    for order in [[&full, &bare], [&bare, &full]] {
        rack.apply(&[on("orders", order[0]), on("sales", order[1])]);
        assert_eq!(rack.password(0), (Some("x".into()), true));
    }
    assert_eq!(rack.given.lock().len(), 1);
}
