//! Many listeners and one publisher, for a place where the harness is not: the network of a node.
//!
//! Owns: its command line. It prints 0 when all streams are open, the number of each message that was published, and, when
//! its standard input has ended, what was seen as one line of JSON. Used by: `node`.

use clap::Parser as _;
use std::io::Write as _;
use tests::crowd::{News, Settings, run};

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let settings = Cli::parse().settings;
    let stop = async {
        let read = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let read = tokio::task::spawn_blocking(read).await;
        let read = read.expect("reading does not panic");
        read.expect("standard input can be read");
    };
    let tell = |news| match news {
        News::Open => say("0"),
        News::Published(number) => say(&number.to_string()),
        News::Ended(_) => {}
    };
    let verdict = run(settings, tell, stop).await;
    let line = serde_json::to_string(&verdict).expect("it can be written as JSON");
    say(&line);
}

/// A line for the test, which may have failed and read no further.
fn say(line: &str) {
    drop(writeln!(std::io::stdout(), "{line}"));
}
