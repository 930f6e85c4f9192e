//! The figures as a table for people and as JSON for programs.

use crate::plan::Row;
use anyhow::Result;

/// Prints a table that can stand in the README.
pub fn print(rows: &[Row]) {
    println!("| figure | value | rounds | target |\n|---|---|---|---|");
    for row in rows {
        let spread = row
            .spread
            .map(|[low, high]| format!("{}–{}", short(low), short(high)));
        let sign = if row.at_least { "≥" } else { "≤" };
        let target = row.target.map(|target| format!("{sign} {}", short(target)));
        let verdict = match row.met() {
            None => "",
            Some(true) => ": met",
            Some(false) => ": missed",
        };
        println!(
            "| {} | {} {} | {} | {}{verdict} |",
            row.name,
            short(row.value),
            row.unit,
            spread.unwrap_or_default(),
            target.unwrap_or_default()
        );
    }
}

/// Names, values and verdicts.
pub fn json(rows: &[Row]) -> Result<String> {
    let rows = rows.iter().map(|row| {
        serde_json::json!({"name": row.name, "unit": row.unit, "value": row.value, "target": row.target, "met": row.met()})
    });
    Ok(serde_json::to_string_pretty(&rows.collect::<Vec<_>>())?)
}

fn short(value: f64) -> String {
    if value.abs() >= 1000.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}
