//! Every shape, what it means, and what is wrong with the others.

use super::*;
use proptest::prelude::*;

#[track_caller]
fn check(text: &str, canonical: &str, label: &str) {
    let url: RedisUrl = text.parse().unwrap();
    assert_eq!(url.to_string(), canonical, "{text:?}");
    assert_eq!(canonical.parse(), Ok(url.clone()), "{text:?}");
    assert_eq!(url.label(), label, "{text:?}");
}

#[track_caller]
fn refused(texts: &[&str], expected: InvalidRedisUrl) {
    for text in texts {
        assert_eq!(text.parse::<RedisUrl>(), Err(expected), "{text:?}");
    }
}

#[test]
fn a_server_is_named_by_host_port_and_database() {
    check("redis://redis", "redis://redis:6379", "redis:6379");
    check("redis://redis:6379/", "redis://redis:6379", "redis:6379");
    check("redis://redis/0", "redis://redis:6379", "redis:6379");
    check(
        "rediss://Re_dis.shop:1/15",
        "rediss://re_dis.shop:1/15",
        "re_dis.shop:1",
    );
    check(
        "redis://127.0.0.1:06380/015",
        "redis://127.0.0.1:6380/15",
        "127.0.0.1:6380",
    );
    check("redis://[::1]", "redis://[::1]:6379", "[::1]:6379");
    check("redis://[0:0::1]:1/", "redis://[::1]:1", "[::1]:1");
}

#[test]
fn sentinels_know_a_master_by_name() {
    check(
        "redis+sentinel://a?master=m",
        "redis+sentinel://a:26379?master=m",
        "m@a:26379",
    );
    check(
        "rediss+sentinel://a:1,[::1],c/3?master=My.master-1_",
        "rediss+sentinel://a:1,[::1]:26379,c:26379/3?master=My.master-1_",
        "My.master-1_@a:1",
    );
    let url: RedisUrl = "redis+sentinel://a,b/?master=m".parse().unwrap();
    let (master, database) = ("m".into(), 0);
    assert_eq!(url.kind(), &Kind::Sentinel { master, database });
    assert_eq!(url.hosts()[1].host(), "b");
    assert_eq!((url.hosts()[1].port(), url.tls()), (26379, false));
}

#[test]
fn a_cluster_is_named_by_some_of_its_nodes() {
    check("redis+cluster://a", "redis+cluster://a:6379", "a:6379");
    check(
        "rediss+cluster://a:1,b,c:3/0",
        "rediss+cluster://a:1,b:6379,c:3",
        "a:1",
    );
    let many = format!("redis+cluster://{}", ["a"; HOSTS].join(","));
    assert_eq!(many.parse::<RedisUrl>().unwrap().hosts().len(), HOSTS);
}

#[test]
fn another_scheme_is_refused() {
    let texts = [
        "",
        "redis",
        "redis:a",
        "redis:/a",
        "://a",
        "http://a",
        "REDIS://a",
        "redis+://a",
        "redis+tls://a",
        "+cluster://a",
        "redis+unix:///run/a",
        "valkey://a",
        " redis://a",
        "rediss+sentinel+cluster://a?master=m",
    ];
    refused(&texts, InvalidRedisUrl::Scheme);
}

#[test]
fn what_would_not_connect_is_refused() {
    let hosts = [
        "redis://",
        "redis:///0",
        "redis://:6379",
        "redis://a:",
        "redis://a:0",
        "redis://a:65536",
        "redis://a:+1",
        "redis://a:1:2",
        "redis://a b",
        "redis://a%2fb",
        "redis://a#b",
        "redis://ä",
        "redis://[::1",
        "redis://[x]:1",
        "redis://[::1]6379",
        "redis://[::1%25eth0]",
        "redis://::1",
        "redis://a,",
        "redis+cluster://a,,b",
        "redis+cluster://a, b",
        "redis+cluster://,",
        "redis+sentinel://?master=m",
        "redis://a\n",
    ];
    refused(&hosts, InvalidRedisUrl::Host);
    let long = format!("redis://{}", "a".repeat(HOST_BYTES + 1));
    refused(&[&long], InvalidRedisUrl::Host);
    refused(
        &["redis://a,b", "rediss://a:1,b:2/0"],
        InvalidRedisUrl::OneHost,
    );
    let many = format!("redis+cluster://{}", ["a"; HOSTS + 1].join(","));
    refused(&[&many], InvalidRedisUrl::ManyHosts);
    let long = format!("redis+cluster://{}", "a,".repeat(URL_BYTES));
    refused(&[&long], InvalidRedisUrl::TooLong);
}

#[test]
fn a_database_is_a_number_and_a_cluster_has_none() {
    let texts = [
        "redis://a/x",
        "redis://a/+1",
        "redis://a/-1",
        "redis://a/65536",
        "redis://a/0/",
        "redis+sentinel://a/x?master=m",
        "redis+cluster://a/x",
    ];
    refused(&texts, InvalidRedisUrl::Database);
    refused(&["redis+cluster://a/1"], InvalidRedisUrl::ClusterDatabase);
}

#[test]
fn a_query_names_the_master_and_nothing_else() {
    let texts = [
        "redis+sentinel://a",
        "redis+sentinel://a?",
        "redis+sentinel://a?master=",
        "redis+sentinel://a?master=m&db=1",
        "redis+sentinel://a?master=m&master=n",
        "redis+sentinel://a?db=1&master=m",
        "redis+sentinel://a?master=a%20b",
        "rediss+sentinel://a?Master=m",
        "redis+sentinel://a?master=m#",
        "redis+sentinel://a?master=ä",
    ];
    refused(&texts, InvalidRedisUrl::Master);
    let long = format!("redis+sentinel://a?master={}", "m".repeat(MASTER_BYTES + 1));
    refused(&[&long], InvalidRedisUrl::Master);
    let texts = [
        "redis://a?",
        "redis://a?protocol=resp3",
        "redis+cluster://a?master=m",
    ];
    refused(&texts, InvalidRedisUrl::Query);
}

#[test]
fn a_password_is_refused_and_not_repeated() {
    for text in [
        "redis://:hunter2@a",
        "redis://ana:hunter2@a",
        "redis+cluster://u:hunter2@a,b",
        "redis+sentinel://a,u:hunter2@b?master=m",
        "redis+sentinel://a?master=m@hunter2",
        "x://hunter2@a",
    ] {
        let refused = text.parse::<RedisUrl>().unwrap_err();
        assert_eq!(refused, InvalidRedisUrl::Credentials, "{text:?}");
        let said = refused.to_string();
        assert!(said.contains("secretRef") && said.contains("--redis-secret-dir"));
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_label_is_short_whatever_the_url() {
    let (host, master) = ("a".repeat(HOST_BYTES), "m".repeat(MASTER_BYTES));
    let url: RedisUrl = format!("rediss+sentinel://{host}:65535?master={master}")
        .parse()
        .unwrap();
    assert!(url.label().len() <= 400, "{}", url.label().len());
}

proptest! {
    #[test]
    fn what_is_read_is_read_again_from_its_own_text(
        text in r"(redis|rediss)(\+sentinel|\+cluster|)://[a-c:0-9\[\],]{0,12}(/[0-9]{0,6})?(\?master=m)?"
    ) {
        if let Ok(url) = text.parse::<RedisUrl>() {
            prop_assert_eq!(url.to_string().parse(), Ok(url));
        }
    }
}
