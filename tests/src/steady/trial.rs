//! One fault against a steady load: when it broke, when it was mended, what it cost.
//!
//! Owns: what holds whatever breaks, and the table of all faults. Never: breaks anything. Used by: `it/faults`.

use super::{Account, Plan, Seen, Steady, Verdict, Vitals};
use crate::gateway::{Gateway, binary};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a fault may go unnoticed; the promise is 5 s, the rest is for a busy machine.
const DETECT: Duration = Duration::from_secs(10);
/// How long a server may answer before all goes on; the promise is 2 s.
const RECOVER: Duration = Duration::from_secs(10);
/// So much longer for each topic: a busy machine takes its time to publish to a thousand of them at once.
const RECOVER_TOPIC: Duration = Duration::from_millis(20);
/// By how much a gateway may grow, in KiB.
const GROWTH: u64 = 50 * 1024;
/// What stands above the table.
const HEAD: &str = "setup                fault                                     detect s  recover s  acknowledged     heard   gaps  missing  verdict";

/// A load on gateways, to be disturbed.
pub struct Trial {
    setup: String,
    pub gateways: Vec<Gateway>,
    vitals: Vec<Vitals>,
    pub steady: Steady,
    broke: Instant,
    mended: Instant,
}

/// What the fault must be seen by from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// `siar_redis_up` was 0 and is 1 again, and subscriptions were made anew.
    Down,
    /// Subscriptions were made anew: it was too short for more.
    Reconnect,
    /// One of the two above, by one gateway at least: chance decides which of them is hit, and where.
    Somewhere,
    /// Publications were refused and counted.
    Refusal,
    /// Nothing broke.
    Nothing,
}

/// What a fault cost.
pub struct Outcome {
    pub gateways: Vec<Gateway>,
    pub account: Account,
    pub verdict: Verdict,
    pub seen: Vec<Seen>,
    pub detect: Option<Duration>,
    pub recover: Option<Duration>,
}

impl Trial {
    /// Puts a load on the gateways, and lets each topic have its first messages.
    pub async fn begin(setup: &str, gateways: Vec<Gateway>, plan: Plan) -> Self {
        let all: Vec<&Gateway> = gateways.iter().collect();
        let steady = Steady::start(&all, plan).await;
        steady.round().await;
        let vitals: Vec<Vitals> = gateways.iter().map(Vitals::of).collect();
        for vitals in &vitals {
            // A gateway says so once a second; a fault before that would show as none.
            vitals.until_up().await;
        }
        steady.round().await;
        Self {
            setup: setup.into(),
            gateways,
            vitals,
            steady,
            broke: Instant::now(),
            mended: Instant::now(),
        }
    }

    /// Now the fault begins.
    pub fn breaks(&mut self) {
        self.broke = Instant::now();
    }

    /// Since then the server answers as a master. Each topic gets a message at once: how long it takes until all goes on is
    /// not to depend on when the next one is due.
    pub fn mended(&mut self, at: Instant) {
        self.mended = at;
        self.steady.hurry();
    }

    /// Waits until all goes on, writes the line of the table, and checks what holds whatever breaks.
    pub async fn end(self, fault: &str, told: Told) -> Outcome {
        self.steady.round().await;
        self.steady.round().await;
        for vitals in &self.vitals {
            vitals.until_up().await;
        }
        let (account, verdict) = self.steady.finish().await;
        let seen: Vec<Seen> = self.vitals.iter().map(Vitals::seen).collect();
        let down = seen.iter().filter_map(|seen| seen.down_after(self.broke));
        let detect = down.chain(account.refused_after(self.broke)).min();
        let recover = account.recovered_after(self.mended);
        let outcome = Outcome {
            gateways: self.gateways,
            account,
            verdict,
            seen,
            detect,
            recover,
        };
        outcome.write(&self.setup, fault);
        outcome.explain(self.mended);
        outcome.check(told, self.broke);
        outcome
    }
}

/// Where the lines of all faults are gathered.
#[must_use]
pub fn table() -> PathBuf {
    binary("siar-gateway").with_file_name("faults.txt")
}

impl Outcome {
    fn write(&self, setup: &str, fault: &str) {
        let seconds = |time: Option<Duration>| {
            time.map_or_else(|| "-".into(), |time| format!("{:.2}", time.as_secs_f64()))
        };
        let verdict = match self.verdict.faults.len() {
            0 => "holds".into(),
            faults => format!("{faults} faults"),
        };
        let mut line = String::new();
        write!(
            line,
            "{setup:<20} {fault:<41} {:>8}  {:>9}  {:>12}  {:>8}  {:>5}  {:>7}  {verdict}",
            seconds(self.detect),
            seconds(self.recover),
            self.verdict.acknowledged,
            self.verdict.heard,
            self.verdict.gaps(),
            self.verdict.missing(),
        )
        .expect("a text takes all");
        println!("{HEAD}\n{line}");
        let first = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(table());
        let (file, text) = match first {
            Ok(file) => (Ok(file), format!("{HEAD}\n{line}\n")),
            Err(_) => {
                let file = OpenOptions::new().create(true).append(true).open(table());
                (file, format!("{line}\n"))
            }
        };
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.expect("the folder of the gateway is ours");
    }

    /// Prints what the figures are made of.
    fn explain(&self, mended: Instant) {
        let acknowledged = self.account.acknowledged_after(mended);
        println!(
            "acknowledged again after {acknowledged:?}; refused {:?}",
            self.account.refused
        );
        for listener in &self.account.listeners {
            let (name, ends) = (&listener.name, &listener.ends);
            let recovery = self.account.recovery(listener, mended);
            println!("{name}: heard again after {recovery:?}; ends {ends:?}");
        }
    }

    #[track_caller]
    fn check(&self, told: Told, broke: Instant) {
        self.verdict.must_hold();
        let (topics, listeners) = (self.account.topics.len(), self.account.listeners.len());
        let acknowledged = self.verdict.acknowledged;
        assert!(acknowledged >= 5 * topics, "{acknowledged} acknowledged");
        let enough = acknowledged * listeners - self.verdict.missing();
        assert!(
            self.verdict.heard >= enough,
            "{} heard of {enough}",
            self.verdict.heard
        );
        for seen in &self.seen {
            assert_eq!(seen.unready, Vec::<String>::new(), "/readyz stays 200");
            let (first, most) = seen.memory;
            assert!(
                first > 0 && most <= first + GROWTH,
                "{first} KiB grew to {most}"
            );
            match told {
                Told::Down => {
                    assert!(seen.down_and_up(broke), "{seen:?}");
                    assert!(seen.reconnects > 0.0, "{seen:?}");
                }
                Told::Reconnect => assert!(seen.reconnects > 0.0, "{seen:?}"),
                Told::Somewhere | Told::Refusal | Told::Nothing => {}
            }
        }
        if told == Told::Somewhere {
            let hit = |seen: &Seen| seen.down_and_up(broke) || seen.reconnects > 0.0;
            assert!(self.seen.iter().any(hit), "{:?}", self.seen);
        }
        if told == Told::Refusal {
            let refusals: f64 = self.seen.iter().map(|seen| seen.refusals).sum();
            assert!(refusals > 0.0, "{:?}", self.seen);
        }
        if matches!(told, Told::Down | Told::Refusal) {
            let noticed = self.detect.is_some_and(|detect| detect <= DETECT);
            assert!(noticed, "noticed after {:?}", self.detect);
        }
        let limit = RECOVER + RECOVER_TOPIC * u32::try_from(topics).expect("not so many");
        let recovered = self.recover.is_some_and(|recover| recover <= limit);
        assert!(recovered, "all goes on after {:?}", self.recover);
    }

    /// Nobody was told of a gap, as nothing may have been lost.
    #[track_caller]
    pub fn tells_no_gap(&self) {
        let told = self.verdict.pairs.iter().find(|pair| !pair.gaps.is_empty());
        assert_eq!(told, None);
    }

    /// Who lost something was told so once, and nobody more than once.
    #[track_caller]
    pub fn tells_one_gap_at_most(&self) {
        let often = |pair: &&super::Pair| pair.gaps.len() > 1;
        assert_eq!(self.verdict.pairs.iter().find(often), None);
    }

    /// Who listened at a gateway all the time was told of one gap in each topic.
    #[track_caller]
    pub fn tells_one_gap_to_who_stayed(&self) {
        self.tells_one_gap_at_most();
        let stayed = |pair: &&super::Pair| pair.listener.starts_with("at ");
        let mut pairs = self.verdict.pairs.iter().filter(stayed);
        assert_eq!(pairs.find(|pair| pair.gaps.len() != 1), None);
    }
}
