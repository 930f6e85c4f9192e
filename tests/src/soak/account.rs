//! What one listener heard of what was published: every loss, repetition and reorder that no `siar.gap` explains.
//!
//! Owns: the rules, and what a page is told in words when one is broken. Pure: no sockets, no clock. Never: forgives; a
//! gap allows a hole at its own place only, which is before the next message of its topic. Used by: `soak`.

use crate::position::{Position, positions};
use std::collections::BTreeMap;
use std::fmt;

mod said;
pub use said::{Said, Source};

#[cfg(test)]
mod tests;

/// Messages that were missed and may still come too late, for each topic of a listener; beyond it they count as
/// repeated.
const MISSED: usize = 1_000;

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// These numbers are missing, and no gap stands before the next one.
    Lost {
        topic: String,
        first: u64,
        last: u64,
    },
    /// It was heard before.
    Twice { topic: String, number: u64 },
    /// One that comes after it was heard before it.
    Late { topic: String, number: u64 },
    /// Positions of one epoch are not next to each other, and no gap stands between.
    Hole {
        line: String,
        from: Position,
        to: Position,
    },
    /// A topic that was not asked for, or what nobody published.
    Foreign { text: String },
}

/// What a topic may say next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// This one, or one before it: the stream is new, and this is the first that was begun after it had opened.
    AtMost(u64),
    Exactly(u64),
    /// Anything from there on: a gap was told, or the source is at most once.
    From(u64),
}

/// One sequence of numbers: what one publisher says in one topic.
#[derive(Debug)]
struct Sequence {
    source: Source,
    next: Next,
    /// Where the newest one stood.
    at: Option<Position>,
    missed: Vec<u64>,
    /// The newest that came again behind a gap that goes back; none: nothing may come again.
    back: Option<u64>,
}

/// What has one position in the cursor of a stream: a topic, or all topics of a Channel.
#[derive(Debug)]
struct Line {
    name: String,
    at: Option<Position>,
    sequences: BTreeMap<(String, Source), Sequence>,
}

/// A message that was heard at two places: right if the first was rolled back before anybody had acknowledged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    pub topic: String,
    pub number: u64,
    pub first: Position,
    pub second: Position,
}

/// The account of one listener.
#[derive(Debug, Default)]
pub struct Account {
    /// In the order of the positions in an id.
    lines: Vec<Line>,
    faults: Vec<Fault>,
    again: Vec<Again>,
    pub heard: u64,
    /// Gaps after which the very next message came.
    pub needless: u64,
}

impl Account {
    /// A stream opens anew: nothing is owed but what is begun from now on. `lines` are the names that are asked for;
    /// `topics` says what belongs to one, and the number that its publisher uses next.
    pub fn open<'a>(
        &mut self,
        lines: impl IntoIterator<Item = &'a str>,
        topics: impl Fn(&str) -> Vec<(String, u64)>,
    ) {
        let mut names = Vec::from_iter(lines);
        names.sort_unstable();
        let lines = names.into_iter().map(|name| {
            let mut sequences = BTreeMap::new();
            for (topic, next) in topics(name) {
                for (source, next) in [
                    (Source::Http, Next::AtMost(next)),
                    (Source::Raw, Next::From(1)),
                ] {
                    sequences.insert((topic.clone(), source), Sequence::new(source, next));
                }
            }
            Line {
                name: name.into(),
                at: None,
                sequences,
            }
        });
        self.lines = lines.collect();
    }

    /// The stream tells where it is, without a message. Only the first such word counts: all others follow from what
    /// was heard.
    pub fn cursor(&mut self, id: &str) {
        for (line, at) in self.lines.iter_mut().zip(positions(id)) {
            line.at.get_or_insert(at);
        }
    }

    /// `siar.gap`, with the id that it carries.
    pub fn gap(&mut self, channel: &str, id: &str) {
        let places = positions(id).into_iter().map(Some);
        let places = places.chain(std::iter::repeat(None));
        let found = self.lines.iter_mut().zip(places);
        let Some((line, at)) = found.into_iter().find(|(line, _)| line.name == channel) else {
            return self.foreign(format!("a gap of {channel}"));
        };
        // An epoch that the server has forgotten: all that is kept comes again, from one epoch into the next with a gap
        // between them, until it is where it was.
        let back = line
            .at
            .zip(at)
            .is_some_and(|(from, to)| from.epoch != to.epoch && to.offset < from.offset);
        line.at = at;
        for sequence in line.sequences.values_mut() {
            if back {
                sequence.back = Some(0);
            }
            sequence.next = match sequence.next {
                Next::AtMost(_) => Next::From(1),
                Next::Exactly(number) | Next::From(number) => Next::From(number),
            };
        }
    }

    /// A message, with the id that it carries.
    pub fn message(&mut self, data: &str, id: &str) {
        self.heard += 1;
        let Some(said) = Said::read(data) else {
            return self.foreign(data.chars().take(100).collect());
        };
        let key = (said.topic.to_owned(), said.source);
        let holds = |line: &Line| line.sequences.contains_key(&key);
        let Some(index) = self.lines.iter().position(holds) else {
            return self.foreign(format!("{} of {}", said.number, said.topic));
        };
        let at = positions(id).into_iter().nth(index);
        let line = &mut self.lines[index];
        if let (Some(from), Some(to)) = (line.at, at)
            && !follows(from, to)
        {
            let line = line.name.clone();
            self.faults.push(Fault::Hole { line, from, to });
        }
        let line = &mut self.lines[index];
        line.at = at.or(line.at);
        let Some(sequence) = line.sequences.get_mut(&key) else {
            return;
        };
        match sequence.take(said.number, at) {
            Taken::Next | Taken::Back => {}
            Taken::Needless => self.needless += 1,
            Taken::Lost(first) => self.faults.push(Fault::Lost {
                topic: key.0,
                first,
                last: said.number - 1,
            }),
            Taken::Late => self.faults.push(Fault::Late {
                topic: key.0,
                number: said.number,
            }),
            Taken::Twice => self.faults.push(Fault::Twice {
                topic: key.0,
                number: said.number,
            }),
            Taken::Again(first, second) => self.again.push(Again {
                topic: key.0,
                number: said.number,
                first,
                second,
            }),
        }
    }

    /// Whether it heard everything up to the newest message of every topic, of which `next` knows the number after it.
    #[must_use]
    pub fn complete(&self, next: impl Fn(&str) -> u64) -> bool {
        self.unfinished(next).is_empty()
    }

    /// What it still waits for, in words.
    #[must_use]
    pub fn unfinished(&self, next: impl Fn(&str) -> u64) -> Vec<String> {
        let sequences = self.lines.iter().flat_map(|line| &line.sequences);
        let http = sequences.filter(|((_, source), _)| *source == Source::Http);
        let unfinished = http.filter_map(|((topic, _), sequence)| {
            let due = next(topic);
            let next = sequence.next;
            (next != Next::Exactly(due)).then(|| format!("{topic}: {next:?} of {due}"))
        });
        unfinished.collect()
    }

    /// What was broken since this was asked last.
    pub fn take_faults(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.faults)
    }

    /// What was heard at two places; judged at the end, when it is known which of them was acknowledged.
    #[must_use]
    pub fn again(&self) -> &[Again] {
        &self.again
    }

    fn foreign(&mut self, text: String) {
        self.faults.push(Fault::Foreign { text });
    }
}

/// Whether a message at `to` may follow one at `from` without a gap: in another epoch only its number tells.
fn follows(from: Position, to: Position) -> bool {
    from.epoch != to.epoch || from.offset + 1 == to.offset
}

enum Taken {
    Next,
    /// Heard before, and behind a gap that said so.
    Back,
    Needless,
    Lost(u64),
    Late,
    Twice,
    Again(Position, Position),
}

impl Sequence {
    fn new(source: Source, next: Next) -> Self {
        Self {
            source,
            next,
            at: None,
            missed: Vec::new(),
            back: None,
        }
    }

    fn take(&mut self, number: u64, at: Option<Position>) -> Taken {
        let (least, most) = match self.next {
            Next::AtMost(number) => (1, number),
            Next::Exactly(number) => (number, number),
            Next::From(number) => (number, u64::MAX),
        };
        if number < least {
            return self.behind(number, least, at);
        }
        (self.at, self.back) = (at, None);
        let next = match self.source {
            Source::Http => Next::Exactly(number + 1),
            Source::Raw => Next::From(number + 1),
        };
        let before = std::mem::replace(&mut self.next, next);
        if number > most {
            let room = MISSED.saturating_sub(self.missed.len());
            self.missed.extend((most..number).take(room));
            return Taken::Lost(most);
        }
        let told = self.source == Source::Http && before == Next::From(number);
        if told && number > 1 {
            Taken::Needless
        } else {
            Taken::Next
        }
    }

    fn behind(&mut self, number: u64, least: u64, at: Option<Position>) -> Taken {
        if let Some(index) = self.missed.iter().position(|&missed| missed == number) {
            self.missed.swap_remove(index);
            return Taken::Late;
        }
        if self.back.is_some_and(|last| number > last) {
            self.back = Some(number);
            return Taken::Back;
        }
        match (self.at, at) {
            (Some(first), Some(second)) if number + 1 == least && first.epoch != second.epoch => {
                self.at = at;
                Taken::Again(first, second)
            }
            _ => Taken::Twice,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { topic, first, last } => write!(f, "{topic}: {first} to {last} lost"),
            Self::Twice { topic, number } => write!(f, "{topic}: {number} came twice"),
            Self::Late { topic, number } => write!(f, "{topic}: {number} came late"),
            Self::Hole { line, from, to } => write!(f, "{line}: {to} came after {from}"),
            Self::Foreign { text } => write!(f, "not asked for or not published: {text}"),
        }
    }
}
