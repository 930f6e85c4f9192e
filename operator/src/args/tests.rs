//! What the command line takes, and the one sentence for what it does not.

use super::*;

const POD: [(&str, &str); 3] = [
    ("POD_NAMESPACE", "streams"),
    ("POD_NAME", "siar-operator-7d-x"),
    ("POD_UID", "0b5c"),
];

fn parse_in(environment: &[(&str, &str)], line: &str) -> Result<Command, NoCommand> {
    let variable = |name: &str| {
        let mut found = environment.iter().filter(|(key, _)| *key == name);
        found.next().map(|(_, value)| (*value).to_owned())
    };
    let around = Around {
        variable: &variable,
        chance: 0xbeef,
    };
    let line = format!("siar-operator {line}");
    parse(line.split_whitespace().map(OsString::from), &around)
}

#[track_caller]
fn run_in(environment: &[(&str, &str)], line: &str) -> Settings {
    match parse_in(environment, line) {
        Ok(Command::Run(settings)) => *settings,
        other => panic!("{line:?}: {other:?}"),
    }
}

#[track_caller]
fn check_identity(environment: &[(&str, &str)], expected: &str) {
    assert_eq!(run_in(environment, "").identity, expected);
}

#[track_caller]
fn check_wrong(line: &str, part: &str) {
    match parse_in(&[], line) {
        Err(NoCommand::Wrong(sentence)) => {
            assert!(sentence.contains(part), "{sentence:?} lacks {part:?}");
            assert!(!sentence.contains('\n'), "{sentence:?} is more than a line");
        }
        other => panic!("{line:?}: {other:?}"),
    }
}

#[test]
fn without_flags_it_runs_for_all_namespaces_and_listens_on_loopback() {
    let settings = run_in(&[], "");
    assert_eq!(settings.watch_namespace, None);
    assert_eq!(settings.namespace, "siar");
    assert_eq!(settings.lease, "siar-operator");
    assert_eq!(settings.admin.to_string(), "127.0.0.1:9090");
    assert_eq!(settings.scale_down_after, Duration::from_secs(300));
    assert_eq!(settings.scale_down_every, Duration::from_secs(60));
    assert_eq!(settings.log, "info");
    assert!(settings.ready_file.is_none());
}

#[test]
fn every_flag_arrives() {
    let settings = run_in(
        &POD,
        "--watch-namespace shop --namespace home --lease a.b --identity me_1 --admin 0.0.0.0:0 \
         --scale-down-after 0s --scale-down-every 1m30s --log debug --log-format json --ready-file /run/ready",
    );
    assert_eq!(settings.watch_namespace.as_deref(), Some("shop"));
    assert_eq!(settings.namespace, "home");
    assert_eq!(settings.lease, "a.b");
    assert_eq!(settings.identity, "me_1");
    assert_eq!(settings.admin.port(), 0);
    assert_eq!(settings.scale_down_after, Duration::ZERO);
    assert_eq!(settings.scale_down_every, Duration::from_secs(90));
    assert_eq!(settings.log_format, LogFormat::Json);
    assert!(settings.ready_file.is_some());
}

#[test]
fn home_is_the_namespace_of_the_pod() {
    assert_eq!(run_in(&POD, "").namespace, "streams");
    let wrong = parse_in(&[("POD_NAMESPACE", "No_Name")], "");
    assert!(
        matches!(wrong, Err(NoCommand::Wrong(ref sentence)) if sentence.contains("POD_NAMESPACE")),
        "{wrong:?}"
    );
}

#[test]
fn a_pod_is_known_by_its_uid_and_others_by_chance() {
    check_identity(&POD, "siar-operator-7d-x_0b5c");
    check_identity(&POD[..2], "siar-operator-7d-x_000000000000beef");
    check_identity(&[("HOSTNAME", "desk")], "desk_000000000000beef");
    check_identity(&[("HOSTNAME", "a b")], "operator_000000000000beef");
    check_identity(&[], "operator_000000000000beef");
}

#[test]
fn listed_targets_replace_the_default_which_spares_the_api_server() {
    let api_server: IpAddr = "10.96.0.1".parse().unwrap();
    let open = run_in(&[], "").targets([api_server]);
    assert!(!open.admits("kubernetes.default", api_server));
    assert!(open.admits("redis.shop", "10.96.0.2".parse().unwrap()));
    assert!(!open.admits("localhost", "127.0.0.1".parse().unwrap()));
    let listed = run_in(&[], "--allow-targets 10.96.0.0/24").targets([api_server]);
    assert!(listed.admits("kubernetes.default", api_server));
    assert!(!listed.admits("redis.shop", "10.97.0.2".parse().unwrap()));
}

#[test]
fn what_is_wrong_is_told_in_one_sentence() {
    check_wrong("--admin here", "--admin");
    check_wrong("--nope", "--nope");
    check_wrong("--watch-namespace A_b", "--watch-namespace");
    check_wrong("--namespace a.b", "--namespace");
    check_wrong("--lease a_b", "--lease");
    check_wrong("--identity a/b", "--identity");
    check_wrong("--scale-down-after 2h", "at most 1h");
    check_wrong("--scale-down-every 0s", "1s to 1h");
    check_wrong("--allow-targets https://auth.shop", "*.example.com");
    check_wrong("crd --lease a", "--lease");
}

#[test]
fn the_definition_is_a_command_of_its_own() {
    assert!(matches!(parse_in(&[], "crd"), Ok(Command::Crd)));
}

#[test]
fn help_is_told_and_not_wrong() {
    let help = parse_in(&[], "--help");
    assert!(matches!(help, Err(NoCommand::Told(text)) if text.contains("SIAR_")));
}
