//! Reads from an error why the server declined to publish.
//!
//! Owns: the codes of Redis 6.2 to 8 and of Valkey, in answers and in errors of scripts. Pure. Used by: `commands`, `publish`.

use crate::broker::Declined;
use redis::RedisError;

/// What scripts are told when the user may not do something; without a code.
const DENIED_IN_SCRIPT: [&str; 2] = [
    "The user executing the script can't",
    "ACL failure in script",
];

/// The cause, or none: then the error is no plain no, and the command may have run.
#[must_use]
pub fn declined(error: &RedisError) -> Option<Declined> {
    let code = error.code()?;
    let detail = error.detail().unwrap_or_default();
    // Redis 6.2 answers `ERR Error running script …: -OOM …`, and `@user_script: 69: -OOM …`.
    let quoted = detail.split_whitespace();
    let quoted = quoted.filter_map(|word| word.strip_prefix('-'));
    let named = std::iter::once(code).chain(quoted).find_map(named);
    // To the channel the script publishes last, when the message is kept already.
    let last = detail.contains("channel");
    let denied = || !last && DENIED_IN_SCRIPT.iter().any(|told| detail.contains(told));
    named.or_else(|| denied().then_some(Declined::Denied))
}

fn named(code: &str) -> Option<Declined> {
    Some(match code {
        "OOM" => Declined::Full,
        "MISCONF" => Declined::Disk,
        "NOREPLICAS" => Declined::Replicas,
        "READONLY" | "MASTERDOWN" => Declined::ReadOnly,
        "LOADING" | "BUSY" => Declined::Loading,
        "NOPERM" | "NOAUTH" | "WRONGPASS" => Declined::Denied,
        "CLUSTERDOWN" | "TRYAGAIN" | "MOVED" | "ASK" | "CROSSSLOT" => Declined::Cluster,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: &str, expected: Option<Declined>) {
        let wire = format!("-{answer}\r\n");
        let value = redis::parse_redis_value(wire.as_bytes()).unwrap();
        let error = value.extract_error().expect_err("an error");
        assert_eq!(declined(&error), expected, "{answer:?}");
    }

    #[test]
    fn a_no_is_named_by_its_code() {
        for (answer, expected) in [
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                Declined::Full,
            ),
            (
                "MISCONF Redis is configured to save RDB snapshots, but",
                Declined::Disk,
            ),
            (
                "NOREPLICAS Not enough good replicas to write.",
                Declined::Replicas,
            ),
            (
                "READONLY You can't write against a read only replica.",
                Declined::ReadOnly,
            ),
            (
                "MASTERDOWN Link with MASTER is down and",
                Declined::ReadOnly,
            ),
            (
                "LOADING Redis is loading the dataset in memory",
                Declined::Loading,
            ),
            ("BUSY Redis is busy running a script.", Declined::Loading),
            ("NOAUTH Authentication required.", Declined::Denied),
            (
                "NOPERM this user has no permissions to run the 'evalsha' command",
                Declined::Denied,
            ),
            (
                "WRONGPASS invalid username-password pair or user is disabled.",
                Declined::Denied,
            ),
            ("CLUSTERDOWN Hash slot not served", Declined::Cluster),
            (
                "TRYAGAIN Multiple keys request during rehashing of slot",
                Declined::Cluster,
            ),
            ("MOVED 3999 127.0.0.1:6381", Declined::Cluster),
            ("ASK 3999 127.0.0.1:6381", Declined::Cluster),
            (
                "CROSSSLOT Keys in request don't hash to the same slot",
                Declined::Cluster,
            ),
        ] {
            check(answer, Some(expected));
        }
    }

    #[test]
    fn a_no_inside_the_script_is_named_for_every_version() {
        let end = "script: 0f63283b, on @user_script:83.";
        let begin =
            "ERR Error running script (call to f_0f63283b): @user_script:83: @user_script: 83:";
        for (answer, expected) in [
            (format!("OOM command not allowed. {end}"), Declined::Full),
            (format!("{begin} -OOM command not allowed"), Declined::Full),
            (
                "@user_script: 69: -OOM command not allowed".to_owned(),
                Declined::Full,
            ),
            (
                format!("{begin} -READONLY You can't write"),
                Declined::ReadOnly,
            ),
            (
                format!(
                    "ERR The user executing the script can't run this command or subcommand {end}"
                ),
                Declined::Denied,
            ),
            (
                format!(
                    "ERR ACL failure in script: User siar has no permissions to run the 'info' command {end}"
                ),
                Declined::Denied,
            ),
        ] {
            check(&answer, Some(expected));
        }
    }

    #[test]
    fn what_may_have_run_is_not_declined() {
        check(
            "ERR Script killed by user with SCRIPT KILL... script: 694a5fe1",
            None,
        );
        check("UNKNOWN something", None);
        for text in [
            "The user executing the script can't publish to the channel",
            "ACL failure in script: User siar has no permissions to access the 'x' channel",
        ] {
            check(
                &format!("ERR {text} script: 0f63283b, on @user_script:124."),
                None,
            );
        }
        let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert_eq!(declined(&RedisError::from(broken)), None);
    }
}
