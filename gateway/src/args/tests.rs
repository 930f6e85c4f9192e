//! What the command line takes, and the one sentence for what it does not.

use super::*;

fn parse_line(line: &str) -> Result<Command, NoCommand> {
    parse(line.split_whitespace().map(OsString::from))
}

#[track_caller]
fn serve(line: &str) -> Settings {
    match parse_line(&format!("siar-gateway --channels . {line}")) {
        Ok(Command::Serve(settings)) => *settings,
        other => panic!("{line:?}: {other:?}"),
    }
}

#[track_caller]
fn check_wrong(line: &str, part: &str) {
    match parse_line(&format!("siar-gateway {line}")) {
        Err(NoCommand::Wrong(sentence)) => {
            assert!(sentence.contains(part), "{sentence:?} lacks {part:?}");
            assert!(!sentence.contains('\n'), "{sentence:?} is more than a line");
        }
        other => panic!("{line:?}: {other:?}"),
    }
}

#[test]
fn without_flags_it_listens_on_loopback_and_keeps_in_memory() {
    let settings = serve("");
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.admin.to_string(), "127.0.0.1:9090");
    assert!(settings.redis.is_none() && settings.tls.is_none());
    assert_eq!(settings.endpoint_delay, Duration::from_secs(5));
    assert_eq!(settings.drain, Duration::from_secs(30));
    assert!(settings.workers >= 1);
    assert_eq!(settings.cookie, "siar_token");
    assert_eq!(settings.allow_targets, None);
    assert_eq!(settings.channels, ChannelsFrom::Files(PathBuf::from(".")));
}

#[test]
fn every_flag_arrives() {
    let settings = serve(
        "--gateway edge --default-namespace shop --listen 0.0.0.0:0 --listen-tls [::1]:8443 --tls-dir /certs \
         --admin 127.0.0.1:0 --redis rediss://redis:6379/1 --redis-secret-dir /redis --redis-key-prefix live \
         --trusted-proxies 10.0.0.0/8,192.0.2.1 --cookie t --workers 3 --endpoint-delay 0s --drain 1m30s \
         --log debug --log-format json --ready-file /run/ready",
    );
    assert_eq!(settings.gateway, "edge");
    assert_eq!(settings.default_namespace, "shop");
    assert_eq!(settings.listen.port(), 0);
    assert!(settings.tls.is_some_and(|tls| tls.listen.is_ipv6()));
    assert_eq!(settings.trusted_proxies.len(), 2);
    assert_eq!(settings.workers, 3);
    assert_eq!(settings.drain, Duration::from_secs(90));
    assert_eq!(settings.log_format, LogFormat::Json);
    assert!(
        settings
            .redis
            .is_some_and(|redis| redis.secret_dir.is_some())
    );
}

#[test]
fn listed_targets_replace_the_default_and_may_be_listed_in_parts() {
    let parsed =
        ["auth.shop", "*.example.com", "10.0.0.0/8"].map(|text| Entry::parse(text).unwrap());
    let settings = serve("--allow-targets auth.shop,*.example.com --allow-targets 10.0.0.0/8");
    assert_eq!(settings.allow_targets, Some(Targets::listed(parsed)));
    let Ok(Command::Check(check)) = parse_line("siar-gateway check . --allow-targets 10.1.2.3")
    else {
        panic!("no check");
    };
    assert!(check.targets().admits("a", "10.1.2.3".parse().unwrap()));
    assert!(!check.targets().admits("a", "10.1.2.4".parse().unwrap()));
}

#[test]
fn channels_come_from_a_secret_and_its_mounted_copy() {
    let line =
        "siar-gateway --config-secret siar/siar-edge.v2 --config-file /config/snapshot.json.gz";
    let Ok(Command::Serve(settings)) = parse_line(line) else {
        panic!("{line:?} is not taken");
    };
    let secret = SecretSettings {
        namespace: "siar".to_owned(),
        name: "siar-edge.v2".to_owned(),
        file: Some(PathBuf::from("/config/snapshot.json.gz")),
    };
    assert_eq!(settings.channels, ChannelsFrom::Secret(secret));
}

#[test]
fn what_is_wrong_is_told_in_one_sentence() {
    check_wrong("", "--channels");
    check_wrong("", "--config-secret");
    check_wrong("--channels /nowhere/at/all", "/nowhere/at/all");
    check_wrong("--channels . --config-secret a/b", "not from both");
    check_wrong("--channels . --config-file a", "--config-secret");
    check_wrong("--config-file a", "--config-secret");
    for name in ["b", "/b", "a/", "a/b/c", "A/b", "a/b..c", "a/-b", "a.b/c"] {
        check_wrong(&format!("--config-secret {name}"), "NAMESPACE/NAME");
    }
    check_wrong("--channels . --listen here", "--listen");
    check_wrong("--channels . --nope", "--nope");
    check_wrong("--channels . --workers 0", "--workers");
    check_wrong("--channels . --workers 257", "--workers");
    check_wrong("--channels . --drain 2h", "at most 1h");
    check_wrong("--channels . --drain soon", "--drain");
    check_wrong("--channels . --gateway A_b", "--gateway");
    check_wrong("--channels . --listen-tls 127.0.0.1:8443", "--tls-dir");
    check_wrong("--channels . --trusted-proxies 10.0.0.0/99", "10.0.0.0/8");
    check_wrong("--channels . --redis-key-prefix {a}", "--redis-key-prefix");
    check_wrong(
        "--channels . --allow-targets https://auth.shop",
        "*.example.com",
    );
    check_wrong("check . --allow-targets 10.0.0.0/33", "--allow-targets");
}

#[test]
fn a_password_in_a_redis_url_is_refused_and_not_repeated() {
    let Err(NoCommand::Wrong(sentence)) =
        parse_line("siar-gateway --channels . --redis redis://user:hunter2@redis")
    else {
        panic!("it was taken");
    };
    assert!(sentence.contains("--redis-secret-dir") && !sentence.contains("hunter2"));
}

#[test]
fn check_takes_a_path_and_nothing_of_serving() {
    let Ok(Command::Check(check)) = parse_line("siar-gateway check some/folder") else {
        panic!("no check");
    };
    assert_eq!(check.path, PathBuf::from("some/folder"));
    assert_eq!(check.targets(), Targets::standalone());
    check_wrong("check", "<PATH>");
}

#[test]
fn smoke_takes_a_url_and_shows_no_token() {
    let line = "siar-gateway smoke http://gateway:8080 --channel orders --namespace shop --token hunter2 --wait 1m";
    let Ok(Command::Smoke(smoke)) = parse_line(line) else {
        panic!("no smoke");
    };
    assert_eq!(smoke.channel.as_deref(), Some("orders"));
    assert_eq!(smoke.wait, Duration::from_secs(60));
    assert!(!format!("{smoke:?}").contains("hunter2"));
    check_wrong("smoke", "<URL>");
    check_wrong("smoke gateway:8080", "http://HOST:PORT");
    check_wrong("smoke http://user:hunter2@gateway", "http://HOST:PORT");
    check_wrong("smoke http://gateway --namespace A", "--namespace");
    check_wrong("smoke http://gateway --channels .", "--channels");
}

#[test]
fn help_is_told_and_not_wrong() {
    assert!(matches!(
        parse_line("siar-gateway --help"),
        Err(NoCommand::Told(text)) if text.contains("SIAR_")
    ));
}
