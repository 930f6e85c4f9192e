//! What the annotations of a Deployment say about its size.
//!
//! Owns: their names, defaults and ranges. Pure. Used by: `scale`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Who sizes the fleet.
pub const SCALING: &str = "siar.dev/scaling";
/// The fewest pods; 2 when left out.
pub const MIN_REPLICAS: &str = "siar.dev/min-replicas";
/// The most pods; 20 when left out.
pub const MAX_REPLICAS: &str = "siar.dev/max-replicas";

const DEFAULT_MIN: u32 = 2;
const DEFAULT_MAX: u32 = 20;
/// As in the schema of a Channel.
const REPLICAS: RangeInclusive<u32> = 1..=1_000;

/// Who sizes the fleet. All but the first mean hands off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Operator,
    Hpa,
    Keda,
    /// Also what nobody has ever heard of, and nothing.
    None,
}

impl Mode {
    /// Who that is, for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Operator => "the operator",
            Self::Hpa => "a HorizontalPodAutoscaler",
            Self::Keda => "KEDA",
            Self::None => "nobody",
        }
    }
}

/// How large a fleet may be, and who decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    pub mode: Mode,
    pub min: u32,
    /// Wins over `min`.
    pub max: u32,
}

/// An annotation is wrong; the fleet stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("annotation {annotation} is {value:?}; write a number from 1 to 1000")]
pub struct InvalidAnnotation {
    pub annotation: &'static str,
    pub value: String,
}

impl Rules {
    /// Reads the annotations of a Deployment.
    pub fn read(annotations: Option<&BTreeMap<String, String>>) -> Result<Self, InvalidAnnotation> {
        let value = |name: &str| annotations?.get(name).map(|value| value.trim());
        let number = |annotation: &'static str, default: u32| match value(annotation) {
            None => Ok(default),
            Some(text) => {
                let number = text.parse().ok().filter(|number| REPLICAS.contains(number));
                number.ok_or_else(|| InvalidAnnotation {
                    annotation,
                    value: text.to_owned(),
                })
            }
        };
        let mode = match value(SCALING) {
            Some("operator") => Mode::Operator,
            Some("hpa") => Mode::Hpa,
            Some("keda") => Mode::Keda,
            Some(_) | None => Mode::None,
        };
        Ok(Self {
            mode,
            min: number(MIN_REPLICAS, DEFAULT_MIN)?,
            max: number(MAX_REPLICAS, DEFAULT_MAX)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(annotations: &[(&str, &str)], expected: Result<(Mode, u32, u32), &str>) {
        let annotations = annotations
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let read = Rules::read(Some(&annotations));
        let told = read
            .as_ref()
            .map(|rules| (rules.mode, rules.min, rules.max))
            .map_err(|error| error.annotation);
        assert_eq!(told, expected, "{annotations:?}");
    }

    #[test]
    fn what_is_left_out_is_two_to_twenty_and_hands_off() {
        check(&[], Ok((Mode::None, 2, 20)));
        let nothing = Rules::read(None).unwrap();
        assert_eq!(nothing.mode, Mode::None);
    }

    #[test]
    fn only_the_word_operator_lets_the_operator_act() {
        check(&[(SCALING, "operator")], Ok((Mode::Operator, 2, 20)));
        check(&[(SCALING, "hpa")], Ok((Mode::Hpa, 2, 20)));
        check(&[(SCALING, "keda")], Ok((Mode::Keda, 2, 20)));
        check(&[(SCALING, "none")], Ok((Mode::None, 2, 20)));
        check(&[(SCALING, "Operator")], Ok((Mode::None, 2, 20)));
    }

    #[test]
    fn bounds_are_numbers_from_one_to_a_thousand() {
        check(
            &[(MIN_REPLICAS, "1"), (MAX_REPLICAS, " 1000 ")],
            Ok((Mode::None, 1, 1000)),
        );
        for wrong in ["0", "1001", "-1", "two", "", "2.5"] {
            check(&[(MIN_REPLICAS, wrong)], Err(MIN_REPLICAS));
            check(&[(MAX_REPLICAS, wrong)], Err(MAX_REPLICAS));
        }
    }
}
