//! What a server does with one topic, and what the simulation knows of it: every message ever numbered.
//!
//! Owns: numbers, epochs, history, the older save that it may go back to. The messages form a tree: each knows
//! the one that its server numbered before it, so a server that went back begins a new branch.

use crate::broker::{Page, Plan};
use crate::close::GapReason;
use crate::frame::Frame;
use crate::message::Message;
use crate::position::{Epoch, Lineage, Position};
use crds::name::Topic;
use std::collections::VecDeque;
use std::sync::Arc;

/// A message by its place in the order of publishing; none is the beginning of everything.
pub type Serial = Option<usize>;

/// A message that was numbered once.
pub struct Node {
    pub frame: Arc<Frame>,
    /// Numbered before it.
    pub parent: Serial,
    pub offset: u64,
    /// At least once it could not be read from history.
    pub unread: bool,
}

impl Node {
    pub fn position(&self) -> Position {
        self.frame.position().expect("numbered")
    }
}

#[derive(Clone, Default)]
struct State {
    lineage: Lineage,
    tip: Serial,
    kept: VecDeque<usize>,
}

/// One topic at its server.
pub struct Keeper {
    pub nodes: Vec<Node>,
    state: State,
    save: State,
    /// The next message begins an epoch.
    fresh: bool,
    /// Every epoch ever drawn with its messages.
    epochs: Vec<(Epoch, Vec<usize>)>,
    topic: Topic,
    /// Messages kept; 0: live only.
    size: usize,
    /// Messages in a page.
    page: usize,
    /// Epochs that the server drew and does not remember any more.
    pub forgotten: Vec<Epoch>,
    /// How often messages were forgotten that had been numbered.
    pub disasters: u32,
    /// How many reads failed.
    pub failures: u32,
    /// Which gateway heard an epoch begin on a subscription on which it had heard all of the one before.
    pub unbroken: Vec<(usize, Epoch)>,
    /// Gateways that never heard something, though their subscription was not interrupted.
    pub lossy: Vec<usize>,
}

impl Keeper {
    pub fn new(topic: Topic, size: usize, page: usize) -> Self {
        Self {
            nodes: Vec::new(),
            state: State::default(),
            save: State::default(),
            fresh: true,
            epochs: Vec::new(),
            forgotten: Vec::new(),
            topic,
            size,
            page,
            disasters: 0,
            failures: 0,
            unbroken: Vec::new(),
            lossy: Vec::new(),
        }
    }

    pub fn lineage(&self) -> &Lineage {
        &self.state.lineage
    }

    /// The newest message that the server has not forgotten.
    pub fn tip(&self) -> Serial {
        self.state.tip
    }

    /// Whether the next message begins an epoch.
    pub fn begins_epoch(&self) -> bool {
        self.fresh || self.state.lineage.epochs.is_empty()
    }

    /// Numbers a message.
    pub fn publish(&mut self) -> usize {
        let serial = self.nodes.len();
        let state = &mut self.state;
        let offset = state.lineage.last + 1;
        let (epoch, first) = match state.lineage.epochs.last() {
            Some(&newest) if !self.fresh => newest,
            _ => {
                let epoch = Epoch::draw(self.epochs.len() as u64 + 1);
                self.epochs.push((epoch, Vec::new()));
                (epoch, offset)
            }
        };
        self.fresh = false;
        state.lineage.advance(epoch, first, offset);
        self.epochs.last_mut().expect("drawn").1.push(serial);
        let message = Message::new("").expect("text");
        let at = Some(Position { epoch, offset });
        let frame = Frame::new(self.topic.clone(), message, at, first, serial as u64);
        self.nodes.push(Node {
            frame: Arc::new(frame),
            parent: state.tip.replace(serial),
            offset,
            unread: self.size == 0,
        });
        if self.size > 0 {
            state.kept.push_back(serial);
        }
        while self.state.kept.len() > self.size {
            self.trim();
        }
        serial
    }

    fn trim(&mut self) {
        if let Some(serial) = self.state.kept.pop_front() {
            self.nodes[serial].unread = true;
        }
    }

    /// Writes to its disk what it has.
    pub fn save(&mut self) {
        self.save.clone_from(&self.state);
    }

    /// Starts again, with everything that it had.
    pub fn restart(&mut self) {
        self.fresh = true;
    }

    /// Starts again from what was on its disk.
    pub fn roll_back(&mut self) {
        self.forget(self.save.clone());
        self.fresh = true;
    }

    /// Loses the topic while it runs.
    pub fn flush(&mut self) {
        self.forget(State::default());
        self.save = State::default();
    }

    fn forget(&mut self, state: State) {
        for &serial in &self.state.kept {
            if !state.kept.contains(&serial) {
                self.nodes[serial].unread = true;
            }
        }
        if state.tip != self.state.tip {
            self.disasters += 1;
        }
        let gone = self.state.lineage.epochs.iter().map(|&(epoch, _)| epoch);
        let gone = gone.filter(|&epoch| !state.lineage.lists(epoch));
        self.forgotten.extend(gone);
        self.state = state;
    }

    /// The time of all that is kept is over.
    pub fn expire(&mut self) {
        while !self.state.kept.is_empty() {
            self.trim();
        }
    }

    fn kept(&self) -> u64 {
        self.state.kept.len() as u64
    }

    /// The first question of a read: what is remembered, and from where to read.
    pub fn plan(&self, cursor: Position) -> (Lineage, Plan) {
        let lineage = self.state.lineage.clone();
        let plan = Plan::of(&lineage, lineage.last + 1 - self.kept(), cursor);
        (lineage, plan)
    }

    /// The second one: the messages. Between the two some may have gone.
    pub fn read(&self, cursor: Position, lineage: Lineage, plan: Plan) -> Page {
        let mut page = plan.page(lineage, cursor);
        let kept = self.state.kept.iter().map(|&serial| &self.nodes[serial]);
        let mut after = kept.filter(|node| node.offset > plan.after).peekable();
        match after.peek() {
            None if page.from.offset < page.lineage.last => {
                page.lost.get_or_insert(GapReason::TooOld);
                page.from = page.lineage.position();
            }
            Some(node)
                if node.offset > page.from.offset.max(page.lineage.last) + 1
                    || !page.admits(&node.frame) =>
            {
                page.more = true;
                return page;
            }
            Some(node) if node.offset != page.from.offset + 1 => {
                page.lost.get_or_insert(GapReason::TooOld);
                page.from = page.lineage.after(node.offset - 1);
            }
            None | Some(_) => {}
        }
        while page.frames.len() < self.page
            && let Some(node) = after.next_if(|node| page.admits(&node.frame))
        {
            page.frames.push(node.frame.clone());
        }
        page.more = after.peek().is_some();
        page
    }

    /// Whether there is history.
    pub fn keeps(&self) -> bool {
        self.size > 0
    }

    /// The position before the newest `count` messages kept.
    pub fn since(&self, count: u64) -> Position {
        let lineage = &self.state.lineage;
        lineage.after(lineage.last - count.min(self.kept()))
    }

    /// The message that a position stands behind. An error: no server ever gave out such a number.
    pub fn find(&self, position: Position) -> Result<Serial, &'static str> {
        if position.epoch == Epoch::NONE {
            return Ok(None);
        }
        let mut epochs = self.epochs.iter();
        let (_, serials) = epochs
            .find(|(epoch, _)| *epoch == position.epoch)
            .ok_or("an epoch that nobody drew")?;
        let first = &self.nodes[serials[0]];
        if let Some(index) = position.offset.checked_sub(first.offset) {
            let index = usize::try_from(index).expect("few");
            return serials
                .get(index)
                .copied()
                .map(Some)
                .ok_or("a number that nobody gave");
        }
        Ok(self.up(first.parent, position.offset))
    }

    /// The message that was acknowledged right after the one that `position` names, or that begins the epoch
    /// which `position` stands before. There is one server at a time: what is missing in between is lost.
    pub fn next_after(&self, position: Position) -> Option<usize> {
        let mut epochs = self.epochs.iter();
        let (_, serials) = epochs.find(|(epoch, _)| *epoch == position.epoch)?;
        let first = &self.nodes[serials[0]];
        match usize::try_from((position.offset + 1).checked_sub(first.offset)?) {
            Ok(0) => Some(serials[0]),
            Ok(index) => serials.get(index - 1).map(|serial| serial + 1),
            Err(_) => None,
        }
    }

    /// The ancestor of `serial` with this offset, or itself.
    fn up(&self, mut serial: Serial, offset: u64) -> Serial {
        while let Some(node) = serial.map(|serial| &self.nodes[serial])
            && node.offset > offset
        {
            serial = node.parent;
        }
        serial
    }

    /// Whether everything up to `earlier` is part of what leads to `later`.
    pub fn leads(&self, earlier: Serial, later: Serial) -> bool {
        let offset = earlier.map_or(0, |serial| self.nodes[serial].offset);
        self.up(later, offset) == earlier
    }

    /// The messages on the way to `to` that whoever stands at `from` has not seen, newest first.
    pub fn between(&self, from: Serial, to: Serial) -> impl Iterator<Item = &Node> {
        let mut next = to;
        std::iter::from_fn(move || {
            let serial = next.filter(|_| !self.leads(next, from))?;
            next = self.nodes[serial].parent;
            Some(&self.nodes[serial])
        })
    }
}
