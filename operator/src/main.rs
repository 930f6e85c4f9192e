//! `siar-operator`: parse, start, wait, exit code.

use operator::app::{self, End};
use operator::args::{self, Around, Command, NoCommand, Settings};
use operator::chance;
use operator::telemetry;
use std::io::{self, Write};
use std::process::ExitCode;

/// The command line is wrong.
const WRONG_INPUT: u8 = 2;

fn main() -> ExitCode {
    // Before anybody builds TLS: with two providers in the tree there is no default. An error would say
    // that it is installed already.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let around = Around {
        variable: &args::variable,
        chance: chance::random(),
    };
    match args::parse(std::env::args_os(), &around) {
        Ok(Command::Run(settings)) => run(*settings),
        Ok(Command::Crd) => print(&crds::printed()),
        Err(NoCommand::Told(text)) => say(&mut io::stdout(), &text, ExitCode::SUCCESS),
        Err(NoCommand::Wrong(sentence)) => wrong(&sentence),
    }
}

fn run(settings: Settings) -> ExitCode {
    if let Err(error) = telemetry::start(&settings.log, settings.log_format) {
        return wrong(&error.to_string());
    }
    match app::run(settings) {
        Ok(End::Stopped) => ExitCode::SUCCESS,
        Ok(End::Failed(task)) => {
            tracing::error!(task, "an essential task ended; the operator ends, too");
            ExitCode::FAILURE
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the operator cannot start");
            ExitCode::FAILURE
        }
    }
}

/// What is printed is the answer, so it must arrive.
fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = format!("The definition cannot be written: {error}.\n");
            say(&mut io::stderr(), &line, ExitCode::FAILURE)
        }
    }
}

fn wrong(sentence: &str) -> ExitCode {
    let line = format!("{sentence}\n");
    say(&mut io::stderr(), &line, ExitCode::from(WRONG_INPUT))
}

/// Nobody may be reading, which changes nothing.
fn say(to: &mut dyn Write, text: &str, code: ExitCode) -> ExitCode {
    drop(to.write_all(text.as_bytes()));
    code
}
