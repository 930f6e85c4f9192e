//! The figures of a run: one row for each thing measured, a value of each server for each round.

use crate::measure::median;

/// One thing measured.
pub struct Row {
    pub name: String,
    pub unit: &'static str,
    pub bare: Vec<f64>,
    pub siar: Vec<f64>,
    pub ordinary: Vec<f64>,
    /// What Siar is held to.
    pub target: Option<Target>,
    /// Whether Siar divided by the bare loop means something here.
    pub compared: bool,
    /// Other programs took so much of the machine in most rounds that nothing can be said.
    pub disturbed: bool,
}

/// What other programs may use before a round is called disturbed, in cores.
const FOREIGN: f64 = 0.2;

/// What Siar is held to; the median of the rounds counts where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// Siar's own value.
    AtMost(f64),
    /// Siar's own value in every round: what is promised and not only usual.
    AlwaysAtMost(f64),
    /// Siar divided by the bare loop.
    TimesAtMost(f64),
    /// Siar divided by the bare loop.
    TimesAtLeast(f64),
}

/// The median of some rounds with the smallest and the largest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Middle {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Middle {
    /// None of no rounds.
    pub fn of(values: &[f64]) -> Option<Self> {
        (!values.is_empty()).then(|| Self {
            median: median(values),
            low: values.iter().copied().fold(f64::INFINITY, f64::min),
            high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }
}

impl Row {
    /// A figure of Siar alone.
    pub fn new(name: impl Into<String>, unit: &'static str, siar: Vec<f64>) -> Self {
        Self {
            name: name.into(),
            unit,
            bare: Vec::new(),
            siar,
            ordinary: Vec::new(),
            target: None,
            compared: false,
            disturbed: false,
        }
    }

    /// Beside the bare loop, in the same rounds.
    pub fn beside(mut self, bare: Vec<f64>) -> Self {
        self.bare = bare;
        self
    }

    /// Divided by the bare loop, round by round.
    pub fn compared(mut self, bare: Vec<f64>) -> Self {
        self.compared = true;
        self.beside(bare)
    }

    pub fn ordinary(mut self, ordinary: Vec<f64>) -> Self {
        self.ordinary = ordinary;
        self
    }

    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// Takes in what other programs used in each round, in cores.
    pub fn meanwhile(mut self, foreign: &[f64]) -> Self {
        self.disturbed = median(foreign) > FOREIGN;
        self
    }

    /// Siar divided by the bare loop of the same round.
    pub fn ratio(&self) -> Option<Middle> {
        let pairs = self.siar.iter().zip(&self.bare);
        let ratios: Vec<f64> = pairs.map(|(siar, bare)| siar / bare).collect();
        self.compared.then(|| Middle::of(&ratios)).flatten()
    }

    /// Whether the target is met; none without one, and none when the machine was busy.
    pub fn met(&self) -> Option<bool> {
        if self.disturbed {
            return None;
        }
        let times = self.ratio().map_or(f64::NAN, |ratio| ratio.median);
        self.target.map(|target| match target {
            Target::AtMost(most) => median(&self.siar) <= most,
            Target::AlwaysAtMost(most) => {
                Middle::of(&self.siar).is_some_and(|siar| siar.high <= most)
            }
            Target::TimesAtMost(most) => times <= most,
            Target::TimesAtLeast(least) => times >= least,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Middle, Row, Target};

    #[track_caller]
    fn check(siar: &[f64], bare: &[f64], target: Target, met: bool) {
        let row = Row::new("row", "µs", siar.to_vec())
            .compared(bare.to_vec())
            .target(target);
        assert_eq!(row.met(), Some(met));
    }

    #[test]
    fn the_median_of_the_ratios_counts_not_the_ratio_of_the_medians() {
        check(
            &[2.0, 9.0, 3.0],
            &[1.0, 9.0, 3.0],
            Target::TimesAtMost(1.1),
            true,
        );
        check(
            &[2.0, 9.0, 6.0],
            &[1.0, 9.0, 3.0],
            Target::TimesAtMost(1.1),
            false,
        );
        check(
            &[2.0, 9.0, 6.0],
            &[1.0, 9.0, 3.0],
            Target::TimesAtLeast(1.5),
            true,
        );
    }

    #[test]
    fn a_value_is_held_to_its_own_target() {
        check(&[2.4], &[0.1], Target::AtMost(2.5), true);
        check(&[2.6], &[100.0], Target::AtMost(2.5), false);
    }

    #[test]
    fn a_promise_is_held_in_every_round() {
        check(&[9.0, 2.0, 3.0], &[], Target::AlwaysAtMost(9.0), true);
        check(&[9.1, 2.0, 3.0], &[], Target::AlwaysAtMost(9.0), false);
        check(&[], &[], Target::AlwaysAtMost(9.0), false);
    }

    #[test]
    fn a_busy_machine_is_no_verdict() {
        let row = || Row::new("row", "µs", vec![1.0]).target(Target::AtMost(2.0));
        assert_eq!(row().meanwhile(&[0.1, 0.0, 1.5]).met(), Some(true));
        assert_eq!(row().meanwhile(&[0.9, 0.0, 1.5]).met(), None);
    }

    #[test]
    fn the_spread_is_smallest_and_largest() {
        let middle = Middle {
            median: 2.0,
            low: 1.0,
            high: 7.0,
        };
        assert_eq!(Middle::of(&[7.0, 1.0, 2.0]), Some(middle));
        assert_eq!(Middle::of(&[]), None);
    }

    #[test]
    fn nothing_measured_meets_nothing() {
        check(&[], &[], Target::TimesAtMost(1.1), false);
        check(&[], &[], Target::AtMost(1.1), false);
    }
}
