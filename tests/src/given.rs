//! What a test adds to the command line and the environment of a server.
//!
//! Owns: that it wins over what the harness says. Used by: `gateway`, `fleet`, `operator`.

use std::process::Command;

/// Flags and variables.
#[derive(Clone, Default)]
pub struct Given {
    flags: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Given {
    /// Adds a flag with its value.
    pub fn flag(&mut self, name: &str, value: &str) {
        self.flags.extend([name.into(), value.into()]);
    }

    /// Sets a variable.
    pub fn env(&mut self, name: &str, value: &str) {
        self.environment.push((name.into(), value.into()));
    }

    /// Whether that flag was added.
    #[must_use]
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    /// Gives all of it to a program, and before it the `defaults` that it does not replace.
    pub fn give(&self, command: &mut Command, defaults: &[(&str, String)]) {
        let missing = defaults.iter().filter(|(name, _)| !self.has(name));
        for (name, value) in missing {
            command.args([name, value.as_str()]);
        }
        command
            .args(&self.flags)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
    }
}
