//! Thousands of pages for minutes, and everything that may happen meanwhile: nothing is lost without a word, nothing
//! comes twice or out of order, and nothing is left behind.
//!
//! Owns: what must hold at the end. `SOAK_MINUTES` says how long it takes, `SEED` repeats what chance did.

use tests::soak::{Settings, run};

#[tokio::test]
async fn through_everything_that_happens_every_message_is_accounted_for_and_nothing_leaks() {
    let summary = run(Settings::from_environment()).await;
    println!("{summary}");
    let wrong = summary.wrong();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
