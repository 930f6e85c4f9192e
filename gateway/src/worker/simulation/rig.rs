//! The real topics, hubs, entries and mailboxes of two gateways over a server that does nothing by itself.
//!
//! Owns: the runtime, which runs only when told to; the questions that the gateways ask, and what was answered.

mod remote;

use super::keeper::Keeper;
use crate::broker::{Arrival, Page, Plan, Sink, Target, Unavailable, contract};
use crate::clock;
use crate::metrics::Metrics;
use crate::position::{Epoch, Lineage, Position};
use crate::tasks::Control;
use crate::topics::{Brokers, Mailbox, Topics};
use parking_lot::Mutex;
use remote::{Remote, Told};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// The workers of each gateway, and the frames that a mailbox of theirs holds.
pub const GATEWAYS: [(usize, usize); 2] = [(2, 1000), (1, 3)];

/// How long a topic lingers.
const LINGER: Duration = Duration::from_secs(10);

/// What a gateway asked, and how far the answer is.
pub enum Question {
    Subscribe(Confirmed, oneshot::Sender<Result<Lineage, Unavailable>>),
    Read(Position, Read, oneshot::Sender<Result<Page, Unavailable>>),
    Unsubscribe(oneshot::Sender<()>),
}

/// How far a subscription is.
#[derive(Debug)]
pub enum Confirmed {
    Not,
    /// On the connection with this number.
    On(u32),
    /// The meta was read since.
    Read(u32, Lineage),
}

/// How far a read is.
pub enum Read {
    Asked,
    Planned(Lineage, Plan),
    Done(Page),
}

/// What is on its way to a gateway.
#[derive(Clone, Debug)]
pub enum Push {
    /// A message, with the number of the connection that it comes on.
    Frame(usize, u32),
    /// What follows comes on another connection.
    Interrupted,
    Resumed(Lineage),
}

/// A gateway's connection for subscriptions.
#[derive(Default)]
pub struct Link {
    pub up: bool,
    /// Rises when a connection begins and when it ends.
    session: u32,
    subscribed: bool,
    /// The connection is new: what the server remembers is to be told.
    pub resuming: bool,
    /// That, read already.
    remembered: Option<Lineage>,
    pub pushes: VecDeque<Push>,
}

/// A gateway.
pub struct Gateway {
    pub topics: Arc<Topics>,
    pub mailboxes: Vec<Arc<Mailbox>>,
    pub link: Link,
    sink: Sink,
    told: Arc<Mutex<Told>>,
    /// The newest message that it heard on its present subscription.
    heard: Option<usize>,
    /// It was interrupted since.
    broken: bool,
}

/// All of it, used for one schedule after another.
pub struct Rig {
    pub gateways: Vec<Gateway>,
    /// The topic with history and without.
    pub targets: [Target; 2],
    runtime: Runtime,
    /// How far the clock is ahead.
    passed: Duration,
}

impl Rig {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let metrics = Metrics::new(&prometheus::Registry::new(), "test").expect("fresh registry");
        let gateway = |(workers, frames)| {
            let control = Control::new(runtime.handle().clone());
            Gateway::new(control, &metrics, workers, frames)
        };
        let target = |size| contract::target(&Arc::new(contract::policy("a", size, false)), "t");
        Self {
            gateways: GATEWAYS.map(gateway).into(),
            targets: [target(0), target(1)],
            runtime,
            passed: LINGER,
        }
    }

    /// Another schedule begins.
    pub fn begin(&mut self) {
        self.passed = LINGER;
        for gateway in &mut self.gateways {
            gateway.link = Link::default();
            gateway.link.up = true;
            gateway.heard = None;
        }
    }

    /// Lets the gateways do what they can do now.
    pub fn run(&self) {
        self.runtime.block_on(async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        });
    }

    /// Time passes for topics that linger, and reads that failed are tried again.
    pub fn tick(&mut self, gateway: usize) {
        self.passed += Duration::from_secs(1);
        let now = clock::now().plus(self.passed);
        self.gateways[gateway].topics.tick(now);
        self.run();
    }
}

impl Gateway {
    fn new(control: Control, metrics: &Arc<Metrics>, workers: usize, frames: usize) -> Self {
        let told = Arc::<Mutex<Told>>::default();
        let sink = Arc::<Mutex<Option<Sink>>>::default();
        let (remote, heard) = (Remote(told.clone()), sink.clone());
        let mailboxes: Vec<_> = (0..workers)
            .map(|_| Arc::new(Mailbox::of(frames)))
            .collect();
        let brokers = Brokers {
            own: Box::new(move |sink| {
                *heard.lock() = Some(sink);
                Arc::new(remote)
            }),
            named: Box::new(|_, _| unreachable!("no Channel names a server")),
        };
        let topics = Topics::new(control, mailboxes.clone(), metrics.clone(), brokers);
        let sink = sink.lock().take().expect("the keeper was made");
        Self {
            topics,
            mailboxes,
            link: Link::default(),
            sink,
            told,
            heard: None,
            broken: false,
        }
    }

    /// Whether the server answers and is heard: only then streams open.
    pub fn is_up(&self) -> bool {
        self.link.up && !self.link.resuming
    }

    /// A message was numbered.
    pub fn published(&mut self, serial: usize) {
        let link = &mut self.link;
        if link.up && link.subscribed {
            link.pushes.push_back(Push::Frame(serial, link.session));
        }
    }

    /// The connection for subscriptions is lost, and all but `heard` of what was on its way.
    pub fn cut(&mut self, heard: usize) {
        let link = &mut self.link;
        link.pushes.truncate(heard);
        (link.up, link.subscribed, link.resuming) = (false, false, false);
        link.remembered = None;
        link.session += 1;
    }

    /// It stands again.
    pub fn connect(&mut self) {
        let wanted = self.told.lock().wanted;
        let link = &mut self.link;
        (link.up, link.subscribed, link.resuming) = (true, wanted, true);
        link.pushes.push_back(Push::Interrupted);
        link.session += 1;
    }

    /// The new connection has the server read what it remembers: true. If it was read before, it is told behind what
    /// the server has sent meanwhile.
    pub fn resume(&mut self, keeper: &Keeper) -> bool {
        let link = &mut self.link;
        let Some(lineage) = link.remembered.take() else {
            link.remembered = Some(keeper.lineage().clone());
            return true;
        };
        link.resuming = false;
        if self.told.lock().active {
            link.pushes.push_back(Push::Resumed(lineage));
        }
        false
    }

    /// The next of what is on its way arrives. The epoch that it begins for one who has heard all of the one before.
    pub fn arrive(&mut self, keeper: &Keeper, target: &Target) -> Option<Epoch> {
        let address = target.address.clone();
        match self.link.pushes.pop_front() {
            Some(Push::Frame(serial, _)) if self.told.lock().wanted => {
                let frame = keeper.nodes[serial].frame.clone();
                (self.sink)(Arrival::Frame { address, frame });
                return self.hear(keeper, serial);
            }
            Some(Push::Interrupted) if self.told.lock().wanted => {
                self.broken = true;
                (self.sink)(Arrival::Interrupted { address });
            }
            Some(Push::Resumed(lineage)) => (self.sink)(Arrival::Resumed { address, lineage }),
            Some(Push::Frame(..) | Push::Interrupted) | None => {}
        }
        None
    }

    fn hear(&mut self, keeper: &Keeper, serial: usize) -> Option<Epoch> {
        if self.heard >= Some(serial) {
            return None;
        }
        let epoch = |serial: usize| keeper.nodes[serial].position().epoch;
        let before = self.heard.replace(serial).map(epoch);
        let broken = std::mem::take(&mut self.broken);
        let unbroken = before.filter(|_| !broken)?;
        (unbroken != epoch(serial)).then(|| epoch(serial))
    }

    /// Whether the topic is joined, or about to be.
    pub fn is_wanted(&self) -> bool {
        self.told.lock().wanted
    }

    /// A question in words.
    pub fn question(&self, index: usize) -> String {
        match &self.told.lock().questions[index] {
            Question::Subscribe(how, _) => format!("subscribe {how:?}"),
            Question::Read(cursor, Read::Done(page), _) => {
                format!("read {cursor}: {}", super::page(page))
            }
            Question::Read(cursor, ..) => format!("read {cursor}"),
            Question::Unsubscribe(_) => "unsubscribe".to_owned(),
        }
    }

    /// How many questions wait.
    pub fn questions(&self) -> usize {
        self.told.lock().questions.len()
    }

    /// The answer to a question comes one step further.
    pub fn answer(&mut self, index: usize, keeper: &Keeper) {
        let mut told = self.told.lock();
        let question = told.questions.swap_remove(index);
        let left = match question {
            Question::Subscribe(how, answer) => {
                self.heard = None;
                self.link.subscribe(how, answer, keeper, &mut told)
            }
            Question::Read(cursor, how, answer) => read(cursor, how, answer, keeper),
            Question::Unsubscribe(answer) => {
                self.link.subscribed = told.wanted;
                send(answer, ())
            }
        };
        told.questions.extend(left);
    }

    /// The answer does not come; an unsubscription is never refused.
    pub fn refuse(&mut self, index: usize, keeper: &mut Keeper) {
        let mut told = self.told.lock();
        let error = Unavailable {
            step: "ask",
            cause: "down".into(),
        };
        match told.questions.swap_remove(index) {
            Question::Subscribe(_, answer) => {
                (told.wanted, told.active) = (false, false);
                send(answer, Err(error));
            }
            Question::Read(_, _, answer) => {
                keeper.failures += 1;
                send(answer, Err(error));
            }
            question @ Question::Unsubscribe(_) => told.questions.push(question),
        }
    }
}

impl Link {
    fn subscribe(
        &mut self,
        how: Confirmed,
        answer: oneshot::Sender<Result<Lineage, Unavailable>>,
        keeper: &Keeper,
        told: &mut Told,
    ) -> Option<Question> {
        let how = match how {
            Confirmed::Not if self.up => {
                self.subscribed = true;
                Confirmed::On(self.session)
            }
            Confirmed::On(session) => Confirmed::Read(session, keeper.lineage().clone()),
            Confirmed::Read(session, lineage) if session == self.session => {
                told.active = true;
                return send(answer, Ok(lineage));
            }
            Confirmed::Not | Confirmed::Read(..) => Confirmed::Not,
        };
        Some(Question::Subscribe(how, answer))
    }
}

fn read(
    cursor: Position,
    how: Read,
    answer: oneshot::Sender<Result<Page, Unavailable>>,
    keeper: &Keeper,
) -> Option<Question> {
    let how = match how {
        Read::Asked => match keeper.plan(cursor) {
            (lineage, plan) if plan.after == cursor.offset => {
                Read::Done(keeper.read(cursor, lineage, plan))
            }
            (lineage, plan) => Read::Planned(lineage, plan),
        },
        Read::Planned(lineage, plan) => Read::Done(keeper.read(cursor, lineage, plan)),
        Read::Done(page) => return send(answer, Ok(page)),
    };
    Some(Question::Read(cursor, how, answer))
}

fn send<T>(answer: oneshot::Sender<T>, value: T) -> Option<Question> {
    // Whoever waits no longer needs no answer.
    drop(answer.send(value));
    None
}
