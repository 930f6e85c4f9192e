//! Topics over a keeper elsewhere, whose arrivals are lost and which is down at times.

use super::*;
use crate::broker::{Arrival, LocalPresence, Page, PresencePart};
use crate::close::GapReason;
use crate::frame::Frame;
use crate::message::Message;
use crate::position::Lineage;
use parking_lot::Mutex;

/// What a keeper was asked, each with the Channel that it was asked for.
type Notes = Arc<Mutex<Vec<String>>>;

/// A keeper elsewhere: memory that is asked on the control runtime, whose arrivals the test may lose.
struct Elsewhere {
    memory: Memory,
    down: Arc<Mutex<bool>>,
    notes: Notes,
}

impl Elsewhere {
    fn note(&self, what: &str, target: &Target) {
        let channel = target.policy.channel.name();
        self.notes.lock().push(format!("{what} {channel}"));
    }

    fn check(&self) -> Result<(), Unavailable> {
        if *self.down.lock() {
            return Err(unavailable("ask", &"down"));
        }
        Ok(())
    }
}

impl Broker for Elsewhere {
    fn kind(&self) -> &'static str {
        "redis"
    }
    fn apply(&self, policies: Vec<Arc<Policy>>) {
        self.memory.apply(policies);
    }
    fn publish(&self, publication: Publication) -> BoxFuture<'_, Result<Published, PublishError>> {
        self.memory.publish(publication)
    }
    fn subscribe(&self, target: Target) -> BoxFuture<'_, Result<Lineage, Unavailable>> {
        Box::pin(async move {
            self.check()?;
            self.note("subscribe", &target);
            self.memory.subscribe(target).await
        })
    }
    fn unsubscribe(&self, address: Address) -> BoxFuture<'_, ()> {
        self.memory.unsubscribe(address)
    }
    fn lineage(&self, address: Address) -> BoxFuture<'_, Result<Lineage, Unavailable>> {
        self.memory.lineage(address)
    }
    fn read(&self, target: Target, cursor: Position) -> BoxFuture<'_, Result<Page, Unavailable>> {
        Box::pin(async move {
            self.check()?;
            self.note("read", &target);
            self.memory.read(target, cursor).await
        })
    }
    fn newest(&self, target: Target, pick: Pick) -> BoxFuture<'_, Result<Newest, Unavailable>> {
        self.memory.newest(target, pick)
    }
    fn since(
        &self,
        address: Address,
        since: Since,
    ) -> BoxFuture<'_, Result<Position, Unavailable>> {
        self.memory.since(address, since)
    }
    fn ask_presence(&self, _: Address) -> BoxFuture<'_, Vec<Option<PresencePart>>> {
        let identities = vec!["ben".into()];
        Box::pin(async {
            vec![Some(PresencePart {
                streams: 2,
                identities,
            })]
        })
    }
    fn answer_presence(&self, _: LocalPresence) {}
    fn session_opened(&self, target: &Target, _: Option<&Arc<str>>, _: Session) {
        self.note("opened", target);
    }
    fn session_closed(&self, target: &Target, _: Option<&Arc<str>>, _: Session) {
        self.note("closed", target);
    }
}

pub struct Remote {
    pub world: World,
    sink: Sink,
    lossy: Arc<Mutex<bool>>,
    down: Arc<Mutex<bool>>,
    pub notes: Notes,
}

pub fn remote() -> Remote {
    let (lossy, down) = (Arc::new(Mutex::new(false)), Arc::new(Mutex::new(false)));
    let (kept, notes) = (Arc::new(Mutex::new(None)), Notes::default());
    let (losing, dead, slot) = (lossy.clone(), down.clone(), kept.clone());
    let noted = notes.clone();
    let world = world_of(move |sink| {
        *slot.lock() = Some(sink.clone());
        let lossy: Sink = Arc::new(move |arrival| {
            if !*losing.lock() {
                sink(arrival);
            }
        });
        Arc::new(Elsewhere {
            memory: Memory::new(lossy, 7, Box::new(clock::now)),
            down: dead,
            notes: noted,
        })
    });
    let sink = kept.lock().take().expect("made at once");
    Remote {
        world,
        sink,
        lossy,
        down,
        notes,
    }
}

impl Remote {
    /// The next mail of worker 0, when `count` have come.
    pub async fn mail(&self, count: usize) -> Vec<String> {
        let mut told = Vec::new();
        let enough = std::future::poll_fn(|context| {
            let waits = self.world.mailboxes[0].poll_mail(context);
            told.extend(self.world.mail(0));
            if told.len() >= count {
                return std::task::Poll::Ready(());
            }
            if waits {
                context.waker().wake_by_ref();
            }
            std::task::Poll::Pending
        });
        let within = Duration::from_secs(60);
        tokio::time::timeout(within, enough).await.expect("mail");
        told
    }
}

#[tokio::test(start_paused = true)]
async fn a_live_hole_is_read_from_history_and_nobody_notices() {
    let remote = remote();
    remote.world.topics.join(0, &remote.world.target("a"));
    assert_eq!(remote.mail(1).await, ["1 joined at 0"]);
    for data in ["1", "2", "3", "4"] {
        *remote.lossy.lock() = data == "2" || data == "3";
        remote.world.publish("a", data).await;
    }
    let frames = ["1 frame 1", "1 frame 2", "1 frame 3", "1 frame 4"];
    assert_eq!(remote.mail(4).await, frames);
}

#[tokio::test(start_paused = true)]
async fn a_lost_tail_is_read_when_the_subscription_stands_again_even_if_reads_fail_at_first() {
    let remote = remote();
    let target = remote.world.target("a");
    remote.world.topics.join(0, &target);
    remote.mail(1).await;
    remote.world.publish("a", "1").await;
    assert_eq!(remote.mail(1).await, ["1 frame 1"]);
    *remote.lossy.lock() = true;
    let last = remote.world.publish("a", "2").await;
    let lineage = Lineage {
        epochs: vec![(last.epoch, 1)],
        last: 2,
    };
    *remote.down.lock() = true;
    let address = target.address.clone();
    (remote.sink)(Arrival::Interrupted {
        address: address.clone(),
    });
    (remote.sink)(Arrival::Resumed { address, lineage });
    tokio::time::sleep(TICK * 2).await;
    *remote.down.lock() = false;
    assert_eq!(remote.mail(1).await, ["1 frame 2"]);
}

#[tokio::test(start_paused = true)]
async fn raw_frames_and_losses_without_numbers_pass_straight() {
    let remote = remote();
    let target = remote.world.target("a");
    remote.world.topics.join(0, &target);
    remote.mail(1).await;
    let message = Message::new("raw").expect("text");
    let frame = Arc::new(Frame::new(target.name, message, None, 0, 7));
    let address = target.address;
    (remote.sink)(Arrival::Frame {
        address: address.clone(),
        frame,
    });
    let reason = GapReason::Ingest;
    (remote.sink)(Arrival::Lost { address, reason });
    assert_eq!(remote.mail(2).await, ["1 raw frame", "1 gap ingest None"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_is_told_and_the_next_join_tries_anew() {
    let remote = remote();
    *remote.down.lock() = true;
    let first = remote.world.topics.join(0, &remote.world.target("a"));
    assert_eq!(remote.mail(1).await, ["1 not joined: ask: down"]);
    *remote.down.lock() = false;
    let again = remote.world.topics.join(0, &remote.world.target("a"));
    let told = remote.mail(1).await;
    assert_eq!(told, [format!("{} joined at 0", again.0)]);
    assert!(again == first || remote.world.topics.directory.find(first).is_none());
}

#[tokio::test(start_paused = true)]
async fn other_gateways_are_asked_who_listens() {
    let remote = remote();
    let target = remote.world.target("a");
    let id = remote.world.topics.join(0, &target);
    remote.world.topics.entered(id, Some(&"ana".into()), None);
    let presence = remote.world.topics.presence(&target).await;
    assert_eq!(presence.streams, 3);
    assert_eq!(presence.identities, ["ana", "ben"].map(Arc::<str>::from));
}
