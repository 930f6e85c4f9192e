//! The figures as a table for people and as JSON for programs.

use crate::rows::{Middle, Row, Target};
use anyhow::Result;
use serde_json::{Value, json};

/// Prints a table that can stand in the README, and below it what is met and what is missed.
pub fn print(rows: &[Row]) {
    println!("| | bare loop | Siar | axum + broadcast | Siar / bare loop | target |");
    println!("|---|--:|--:|--:|--:|---|");
    for row in rows {
        let value = |values: &[f64]| match Middle::of(values) {
            Some(middle) => short(middle.median),
            None => String::new(),
        };
        // Where there is no ratio, the spread stands beside Siar's own value.
        let siar = row
            .ratio()
            .map_or_else(|| spread(Middle::of(&row.siar)), |_| value(&row.siar));
        println!(
            "| {}, {} | {} | {siar} | {} | {} | {} |",
            row.name,
            row.unit,
            value(&row.bare),
            value(&row.ordinary),
            spread(row.ratio()),
            target(row)
        );
    }
    if rows.iter().all(|row| row.target.is_none()) {
        return;
    }
    println!();
    for (met, word) in [(true, "met"), (false, "missed")] {
        let those = rows.iter().filter(|row| row.met() == Some(met));
        let names: Vec<&str> = those.map(|row| row.name.as_str()).collect();
        println!("{word}: {} ({})", names.len(), names.join("; "));
    }
    if rows.iter().any(|row| row.disturbed) {
        println!("Other programs took much of the machine: run it again when they are done.");
    }
}

/// All rounds, medians and verdicts.
pub fn json(rows: &[Row]) -> Result<String> {
    let rows: Vec<Value> = rows.iter().map(one).collect();
    Ok(serde_json::to_string_pretty(&rows)?)
}

fn one(row: &Row) -> Value {
    let middle = |middle: Option<Middle>| {
        middle
            .map(|Middle { median, low, high }| json!({"median": median, "low": low, "high": high}))
    };
    json!({
        "name": row.name,
        "unit": row.unit,
        "bare": middle(Middle::of(&row.bare)),
        "siar": middle(Middle::of(&row.siar)),
        "ordinary": middle(Middle::of(&row.ordinary)),
        "ratio": middle(row.ratio()),
        "rounds": {"bare": row.bare, "siar": row.siar, "ordinary": row.ordinary},
        "met": row.met(),
    })
}

fn target(row: &Row) -> String {
    let text = match row.target {
        None => return String::new(),
        Some(Target::AtMost(most)) => format!("at most {most}"),
        Some(Target::AlwaysAtMost(most)) => format!("at most {most}, in every round"),
        Some(Target::TimesAtMost(most)) => format!("at most {most} ×"),
        Some(Target::TimesAtLeast(least)) => format!("at least {least} ×"),
    };
    let verdict = match row.met() {
        Some(true) => "met",
        Some(false) => "**missed**",
        None => "not judged, the machine was busy",
    };
    format!("{text}: {verdict}")
}

fn spread(middle: Option<Middle>) -> String {
    match middle {
        None => String::new(),
        Some(Middle { median, low, high }) if low == high => short(median),
        Some(Middle { median, low, high }) => {
            format!("{} ({}–{})", short(median), short(low), short(high))
        }
    }
}

fn short(value: f64) -> String {
    if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}
