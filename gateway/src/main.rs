//! `siar-gateway`: parse, start, wait, exit code.

use gateway::app::{self, check, drain::End, token};
use gateway::args::{self, CheckSettings, Command, NoCommand, Settings};
use gateway::{clock, smoke, telemetry};
use std::io::{self, Write};
use std::process::ExitCode;

/// The command line is wrong.
const WRONG_INPUT: u8 = 2;

fn main() -> ExitCode {
    // Before anybody builds TLS: with two providers in the tree there is no default. An error would say
    // that it is installed already.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let command = match args::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(NoCommand::Told(text)) => return say(&mut io::stdout(), &text, ExitCode::SUCCESS),
        Err(NoCommand::Wrong(sentence)) => return wrong(&sentence),
    };
    match command {
        Command::Serve(settings) => serve(*settings),
        Command::Check(settings) => check(&settings),
        Command::Token(settings) => match token::mint(&settings, clock::now().unix) {
            Ok(token) => say(&mut io::stdout(), &format!("{token}\n"), ExitCode::SUCCESS),
            Err(error) => wrong(&error.to_string()),
        },
        Command::Smoke(settings) => match smoke::run(&settings) {
            Ok(seen) => say(&mut io::stdout(), &seen, ExitCode::SUCCESS),
            Err(failed) => say(&mut io::stderr(), &format!("{failed}\n"), ExitCode::FAILURE),
        },
    }
}

fn serve(settings: Settings) -> ExitCode {
    if let Err(error) = telemetry::start(&settings.log, settings.log_format) {
        return wrong(&error.to_string());
    }
    match app::run(settings) {
        Ok(End::Drained) => ExitCode::SUCCESS,
        Ok(End::Hurried) => {
            tracing::warn!("a second signal came; streams that are left end without a word");
            ExitCode::FAILURE
        }
        Ok(End::Failed(task)) => {
            tracing::error!(task, "an essential task ended; the gateway ends, too");
            ExitCode::FAILURE
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the gateway cannot start");
            ExitCode::FAILURE
        }
    }
}

fn check(settings: &CheckSettings) -> ExitCode {
    match check::run(settings, &mut io::stdout()) {
        Ok(check::Outcome::Good) => ExitCode::SUCCESS,
        Ok(check::Outcome::Bad) => ExitCode::FAILURE,
        Err(error) => wrong(&error.to_string()),
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
