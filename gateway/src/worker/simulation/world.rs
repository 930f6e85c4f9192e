//! One schedule: what may happen in it, and what happens.
//!
//! Owns: the moves, which of them are possible now, and the calm at the end, in which everything must arrive.

use super::chance::Chance;
use super::client::{Client, Stage};
use super::desk::Desk;
use super::keeper::Keeper;
use super::rig::{GATEWAYS, Push, Rig};
use super::weather::Weather;
use crate::broker::Target;

const CLIENTS: u32 = 3;
/// Moves of one schedule before the calm.
const MOVES: u32 = 75;

/// Everything.
pub struct World<'a> {
    rig: &'a mut Rig,
    chance: Chance,
    weather: Weather,
    target: Target,
    pub keeper: Keeper,
    desks: Vec<Vec<Desk>>,
    pub clients: Vec<Client>,
    /// What happened, if somebody wants to read it.
    pub story: Option<Vec<String>>,
}

impl<'a> World<'a> {
    pub fn new(rig: &'a mut Rig, seed: u64, told: bool) -> Self {
        let mut chance = Chance::new(seed);
        let weather = Weather::draw(&mut chance);
        let target = rig.targets[usize::from(weather.history > 0)].clone();
        rig.begin();
        let desks = rig.gateways.iter().map(|gateway| {
            let mailboxes = gateway.mailboxes.iter().enumerate();
            let desk = |(index, mailbox)| Desk::new(index, &gateway.topics, mailbox);
            mailboxes.map(desk).collect()
        });
        let desks = desks.collect();
        Self {
            desks,
            keeper: Keeper::new(target.name.clone(), weather.history, weather.page),
            chance,
            weather,
            target,
            rig,
            clients: (0..CLIENTS).map(Client::new).collect(),
            story: told.then(|| vec![format!("{weather:?}")]),
        }
    }

    fn tell(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.story.is_some() {
            let line = line(self);
            self.story
                .iter_mut()
                .for_each(|story| story.push(line.clone()));
        }
    }

    /// Plays the schedule, and then the calm.
    pub fn play(&mut self) {
        for _ in 0..MOVES {
            self.step();
        }
        self.settle();
        self.go_on_as_always();
        self.close();
    }

    fn step(&mut self) {
        let weather = self.weather;
        let gateway = self.chance.count(GATEWAYS.len());
        match self.chance.below(100) {
            0..14 => self.publish(),
            14..30 => drop(self.arrive(gateway)),
            30..46 => drop(self.answer(gateway)),
            46..58 => self.mail(),
            58..80 => self.act(),
            80 | 81 if weather.leave => {
                let client = self.chance.count(self.clients.len());
                self.leave(client);
            }
            82..85 => self.tick(gateway),
            85..87 if weather.lose => self.lose(gateway),
            87 if weather.repeat => self.repeat(gateway),
            88 if weather.reorder => self.reorder(gateway),
            89 | 90 => self.connect(gateway),
            91 if weather.cut => self.cut(gateway),
            92 if weather.refuse => self.refuse(gateway),
            93 if weather.fall_out => self.fall_out(),
            94..97 => self.disaster(),
            97..100 => {
                self.resume(gateway);
                if self.chance.one_in(2) {
                    self.resume(gateway);
                }
            }
            _ => {}
        }
    }

    pub fn publish(&mut self) {
        let serial = self.keeper.publish();
        for gateway in &mut self.rig.gateways {
            gateway.published(serial);
        }
        self.tell(|world| {
            let at = world.keeper.lineage().position();
            format!("publish #{serial} {at}")
        });
    }

    pub fn arrive(&mut self, gateway: usize) -> bool {
        if self.rig.gateways[gateway].link.pushes.is_empty() {
            return false;
        }
        self.tell(|world| {
            let next = world.rig.gateways[gateway].link.pushes.front();
            format!("gateway {gateway} hears {next:?}")
        });
        let unbroken = self.rig.gateways[gateway].arrive(&self.keeper, &self.target);
        let unbroken = unbroken.map(|epoch| (gateway, epoch));
        self.keeper.unbroken.extend(unbroken);
        self.rig.run();
        true
    }

    fn lose(&mut self, gateway: usize) {
        let pushes = &mut self.rig.gateways[gateway].link.pushes;
        if pushes.is_empty() {
            return;
        }
        let index = self.chance.count(pushes.len());
        if matches!(pushes[index], Push::Frame(..)) {
            let lost = pushes.remove(index);
            self.keeper.lossy.push(gateway);
            self.tell(|_| format!("gateway {gateway} never hears {lost:?}"));
        }
    }

    /// One more of what is on its way, behind it or at its side.
    fn repeat(&mut self, gateway: usize) {
        let pushes = &mut self.rig.gateways[gateway].link.pushes;
        if pushes.is_empty() {
            return;
        }
        let index = self.chance.count(pushes.len());
        if let Push::Frame(serial, session) = pushes[index] {
            let same = |push: &&Push| matches!(push, Push::Frame(_, other) if *other == session);
            let room = pushes.iter().skip(index).take_while(same).count();
            let to = index + self.chance.count(room + 1);
            pushes.insert(to, Push::Frame(serial, session));
            self.tell(|_| format!("gateway {gateway} will hear #{serial} twice"));
        }
    }

    /// Two messages of one connection and epoch change places; a server that begins an epoch was away.
    fn reorder(&mut self, gateway: usize) {
        let pushes = &mut self.rig.gateways[gateway].link.pushes;
        if pushes.len() < 2 {
            return;
        }
        let first = self.chance.count(pushes.len());
        let second = self.chance.count(pushes.len());
        let epoch = |serial: usize| {
            let position = self.keeper.nodes[serial].frame.position();
            position.map(|position| position.epoch)
        };
        if let (&Push::Frame(one, session), &Push::Frame(other, same)) =
            (&pushes[first], &pushes[second])
            && (session, epoch(one)) == (same, epoch(other))
        {
            pushes.swap(first, second);
            self.tell(|_| format!("gateway {gateway}: {first} and {second} change places"));
        }
    }

    pub fn cut(&mut self, gateway: usize) {
        let link = &self.rig.gateways[gateway].link;
        if link.up {
            let heard = self.chance.count(link.pushes.len() + 1);
            self.rig.gateways[gateway].cut(heard);
            self.tell(|_| format!("gateway {gateway} is cut off, {heard} are still heard"));
        }
    }

    pub fn connect(&mut self, gateway: usize) {
        if !self.rig.gateways[gateway].link.up {
            self.rig.gateways[gateway].connect();
            self.tell(|_| format!("gateway {gateway} connects"));
        }
    }

    pub fn resume(&mut self, gateway: usize) {
        if self.rig.gateways[gateway].link.resuming {
            let read = self.rig.gateways[gateway].resume(&self.keeper);
            let what = if read {
                "asks what is remembered"
            } else {
                "stands again"
            };
            self.tell(|_| format!("gateway {gateway} {what}"));
        }
    }

    pub fn is_wanted(&self, gateway: usize) -> bool {
        self.rig.gateways[gateway].is_wanted()
    }

    pub fn answer(&mut self, gateway: usize) -> bool {
        let questions = self.rig.gateways[gateway].questions();
        if questions == 0 {
            return false;
        }
        let index = self.chance.count(questions);
        self.tell(|world| {
            let question = world.rig.gateways[gateway].question(index);
            format!("gateway {gateway} is answered {question}")
        });
        self.rig.gateways[gateway].answer(index, &self.keeper);
        self.rig.run();
        true
    }

    fn refuse(&mut self, gateway: usize) {
        let questions = self.rig.gateways[gateway].questions();
        if questions > 0 {
            let index = self.chance.count(questions);
            self.tell(|world| {
                let question = world.rig.gateways[gateway].question(index);
                format!("gateway {gateway} is refused {question}")
            });
            self.rig.gateways[gateway].refuse(index, &mut self.keeper);
            self.rig.run();
        }
    }

    pub fn tick(&mut self, gateway: usize) {
        self.tell(|_| format!("gateway {gateway}: time passes"));
        self.rig.tick(gateway);
    }

    fn disaster(&mut self) {
        let weather = self.weather;
        let happened = match self.chance.below(8) {
            0 | 1 if weather.roll_back => {
                self.keeper.save();
                "saves"
            }
            2 | 3 if weather.restart => {
                self.keeper.restart();
                "starts again"
            }
            4 | 5 if weather.roll_back => {
                (0..GATEWAYS.len()).for_each(|gateway| self.cut(gateway));
                self.keeper.roll_back();
                "starts again from its save"
            }
            // What overtakes live frames from before a flush is beyond what is promised.
            6 if weather.flush && !self.anything_on_its_way() => {
                self.keeper.flush();
                "is flushed"
            }
            7 if weather.expire => {
                self.keeper.expire();
                "expires all"
            }
            _ => return,
        };
        self.tell(|world| format!("the server {happened}: {:?}", world.keeper.lineage()));
    }

    fn anything_on_its_way(&self) -> bool {
        let mut gateways = self.rig.gateways.iter();
        gateways.any(|gateway| !gateway.link.pushes.is_empty())
    }

    fn fall_out(&mut self) {
        let client = self.chance.count(self.clients.len());
        let client = &self.clients[client];
        let (gateway, worker) = client.place;
        if let Stage::Open(open) = &client.stage
            && let Some(local) = self.desks[gateway][worker].table.get(open.topic)
        {
            local.ring.halve();
            self.tell(|_| format!("worker {gateway}.{worker}: the ring is halved"));
        }
    }

    fn mail(&mut self) {
        let gateway = self.chance.count(GATEWAYS.len());
        let worker = self.chance.count(self.desks[gateway].len());
        self.read_mail(gateway, worker);
    }

    pub fn read_mail(&mut self, gateway: usize, worker: usize) -> bool {
        let words = self.story.is_some();
        let Some((words, paged)) = self.desks[gateway][worker].read(words) else {
            return false;
        };
        self.tell(|_| format!("worker {gateway}.{worker} reads {words}"));
        let Some(paged) = paged else { return true };
        for member in paged.members {
            let client = member.stream.slot as usize;
            let page = paged.page.as_ref();
            if !self.clients[client].paged(member, paged.cursor, page) {
                self.leave(client);
            }
        }
        self.rig.run();
        true
    }

    fn act(&mut self) {
        let client = self.chance.count(self.clients.len());
        if !matches!(self.clients[client].stage, Stage::Away) {
            self.go_on(client, self.weather.park);
            return;
        }
        let mut gateway = self.chance.count(GATEWAYS.len());
        if self.weather.crowd {
            gateway = GATEWAYS.len() - 1;
        }
        self.come(client, gateway);
    }

    pub fn come(&mut self, client: usize, gateway: usize) -> bool {
        if !self.rig.gateways[gateway].is_up() {
            return false;
        }
        let worker = self.chance.count(self.desks[gateway].len());
        let table = &mut self.desks[gateway][worker].table;
        self.clients[client].come((gateway, worker), table, &self.target);
        self.tell(|world| {
            let id = world.clients[client].witness.id;
            format!("client {client} comes to {gateway}.{worker} with {id:?}")
        });
        self.rig.run();
        true
    }

    /// Whether something changed for the client.
    pub fn go_on(&mut self, client: usize, full: bool) -> bool {
        let (gateway, worker) = self.clients[client].place;
        let table = &mut self.desks[gateway][worker].table;
        let before = self.clients[client].state();
        self.clients[client].act(table, &self.keeper, &mut self.chance, full);
        let after = self.clients[client].state();
        self.tell(|world| format!("client {client}: {}", world.clients[client].words()));
        self.rig.run();
        before != after
    }

    pub fn leave(&mut self, client: usize) {
        if matches!(self.clients[client].stage, Stage::Away) {
            return;
        }
        let (gateway, worker) = self.clients[client].place;
        let moved = self.clients[client].leave(&mut self.desks[gateway][worker].table);
        if let Some((moved, seat)) = moved
            && let Stage::Open(open) = &mut self.clients[moved.stream.slot as usize].stage
        {
            open.seat = seat;
        }
        self.tell(|_| format!("client {client} leaves"));
        self.rig.run();
    }
}
