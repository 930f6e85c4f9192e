//! What leads where, in all the spellings that reach the same host.

use super::*;

const API: &str = "10.96.0.1";

fn cluster() -> Targets {
    Targets::cluster([API.parse().unwrap()])
}

fn listed(entries: &[&str]) -> Targets {
    Targets::listed(entries.iter().map(|text| Entry::parse(text).unwrap()))
}

#[track_caller]
fn judge(targets: &Targets, expected: bool, urls: &[&str]) {
    for url in urls {
        let redis = url.parse::<RedisUrl>();
        let judged = redis.map_or_else(|_| targets.judge_url(url), |url| targets.judge_redis(&url));
        assert_eq!(judged.is_ok(), expected, "{url:?}: {judged:?}");
    }
}

#[track_caller]
fn admit(targets: &Targets, host: &str, expected: bool, addresses: &[&str]) {
    for address in addresses {
        let admitted = targets.admits(host, address.parse().unwrap());
        assert_eq!(admitted, expected, "{host:?} {address}");
    }
}

/// Loopback in the spellings of browsers, resolvers and careless parsers.
const LOOPBACK: [&str; 28] = [
    "http://127.0.0.1",
    "http://127.0.0.1:8080/keys",
    "http://127.0.0.1./",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.255.255.254/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7F.1/",
    "http://0177.0.0.1/",
    "http://%31%32%37.0.0.1/",
    "http:\\\\127.0.0.1\\keys",
    "HTTP://LOCALHOST/",
    "https://localhost",
    "https://localhost.:8443/",
    "https://any.Localhost/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]:80/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::FFFF:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "redis://127.0.0.1:6379/0",
    "redis://127.1",
    "rediss://0x7f.1",
    "redis://[::ffff:7f00:1]:6379",
    "redis+cluster://redis.shop,127.0.0.1",
    "redis+sentinel://redis.shop,LOCALHOST.?master=m",
];

/// What no default admits.
const NOWHERE: [&str; 16] = [
    "http://169.254.169.254/latest/meta-data",
    "http://0xa9fea9fe/",
    "http://2852039166/",
    "http://[::ffff:169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[fe80::1]/",
    "http://[febf::1]/",
    "http://0.0.0.0/",
    "http://0/",
    "http://0.1.2.3/",
    "http://[::]/",
    "http://[::ffff:0.0.0.0]/",
    "http://224.0.0.1/",
    "http://239.255.255.255/",
    "http://[ff02::1]/",
    "redis://0",
];

#[test]
fn by_default_a_cluster_admits_no_loopback_and_standalone_does() {
    judge(&cluster(), false, &LOOPBACK);
    judge(&Targets::standalone(), true, &LOOPBACK);
}

#[test]
fn by_default_nobody_is_led_to_neighbours_and_groups() {
    judge(&cluster(), false, &NOWHERE);
    judge(&Targets::standalone(), false, &NOWHERE);
}

#[test]
fn by_default_everything_else_passes() {
    let urls = [
        "https://auth.example.com/.well-known/jwks.json?tenant=1",
        "https://AUTH.example.com.:8443/",
        "https://bücher.example/",
        "http://auth.shop",
        "http://localhost.example.com/",
        "http://notlocalhost/",
        "http://127.0.0.1.nip.io/",
        "http://10.96.0.2/",
        "http://192.168.1.1:8080/",
        "http://[fd00::1]/",
        "http://[2001:db8::1]/",
        "redis://redis.shop:6379/0",
        "rediss://my_redis",
    ];
    judge(&cluster(), true, &urls);
    judge(&Targets::standalone(), true, &urls);
}

#[test]
fn the_api_server_is_forbidden_in_every_spelling() {
    judge(
        &cluster(),
        false,
        &[
            "https://10.96.0.1/",
            "https://10.96.1:443/",
            "https://[::ffff:10.96.0.1]/",
            "redis://174063617",
        ],
    );
    judge(
        &Targets::cluster(["::ffff:10.96.0.1".parse().unwrap()]),
        false,
        &["https://10.96.0.1"],
    );
    judge(&Targets::standalone(), true, &["https://10.96.0.1/"]);
}

#[test]
fn what_is_no_url_of_a_server_is_refused() {
    let urls = [
        "",
        "auth.shop",
        "//auth.shop",
        "/keys",
        "http://",
        "http:///",
        "redis:///0",
        "redis:auth.shop",
        "ftp://auth.shop",
        "file:///etc/passwd",
        "unix:///run/redis.sock",
        "redis+unix:///run/redis.sock",
        "redis://1.2.3.4.5",
        "gopher://auth.shop",
        "data:,x",
        "http://a b/",
        "http://a:65536/",
        "http://1.2.3.4.5/",
        "http://256.256.256.256/",
        "http://[::1",
        "http://[fe80::1%25eth0]/",
        "http://a%00b/",
        "redis://a%2fb",
    ];
    judge(&cluster(), false, &urls);
    judge(&Targets::standalone(), false, &urls);
    judge(
        &listed(&["0.0.0.0/0", "::/0", "a", "auth.shop"]),
        false,
        &urls,
    );
    let long = format!("http://{}/", "a.".repeat(200));
    judge(&Targets::standalone(), false, &[&long]);
}

#[test]
fn user_info_is_refused_and_never_repeated() {
    for url in [
        "https://ana:hunter2@auth.shop/",
        "https://hunter2@auth.shop/",
        "https://:hunter2@auth.shop",
        "https://auth.shop:hunter2@127.0.0.1/",
        "hunter2:hunter2@auth.shop",
        "https://ana:hunter2@[auth",
        "https://auth.shop#@hunter2:hunter2",
    ] {
        let listed = listed(&["auth.shop"]);
        for targets in [cluster(), Targets::standalone(), listed] {
            let said = targets.judge_url(url).err().unwrap_or_default();
            assert!(!said.contains("hunter2"), "{url}: {said}");
            let refused = !said.is_empty();
            assert_eq!(refused, !url.contains('#'), "{url}: {said}");
        }
    }
}

#[test]
fn a_list_replaces_the_default() {
    let targets = listed(&[
        "auth.shop",
        "*.Example.com.",
        "10.1.2.3",
        "127.0.0.2/32",
        "fd00::/8",
    ]);
    judge(
        &targets,
        true,
        &[
            "https://auth.shop",
            "https://AUTH.shop.:8443/keys",
            "https://a.example.com",
            "https://a.b.example.com",
            "http://10.1.2.3",
            "http://[::ffff:10.1.2.3]/",
            "http://127.0.0.2/",
            "http://127.2/",
            "http://[fd00::1]/",
            // Only its addresses tell, since the list has networks.
            "https://elsewhere.example.org",
        ],
    );
    judge(
        &targets,
        false,
        &[
            "http://10.1.2.4",
            "http://127.0.0.1",
            "http://localhost",
            "http://[::1]",
            "http://8.8.8.8",
            "http://169.254.169.254",
        ],
    );
    admit(
        &targets,
        "auth.shop",
        true,
        &["10.9.9.9", "127.0.0.1", "::1", "169.254.169.254"],
    );
    admit(&targets, "Auth.Shop.", true, &["8.8.8.8"]);
    admit(&targets, "a.example.com", true, &["8.8.8.8"]);
    admit(
        &targets,
        "elsewhere.example.org",
        true,
        &["10.1.2.3", "::ffff:10.1.2.3", "fd12::1"],
    );
    admit(
        &targets,
        "elsewhere.example.org",
        false,
        &["10.1.2.4", "127.0.0.1", "::1", "8.8.8.8"],
    );
}

#[test]
fn a_star_stands_for_one_or_more_labels() {
    let targets = listed(&["*.example.com"]);
    for (host, expected) in [
        ("a.example.com", true),
        ("a.b.example.com", true),
        ("example.com", false),
        (".example.com", false),
        ("badexample.com", false),
        ("a.example.com.evil.org", false),
        ("a.example.org", false),
    ] {
        admit(&targets, host, expected, &["8.8.8.8"]);
    }
}

#[test]
fn a_list_without_networks_admits_only_the_names_in_it() {
    let targets = listed(&["auth.shop", "localhost"]);
    judge(
        &targets,
        true,
        &["https://auth.shop", "http://localhost:1/"],
    );
    judge(
        &targets,
        false,
        &[
            "https://pay.shop",
            "http://127.0.0.1",
            "http://a.localhost",
            "http://auth.shop.evil.org",
        ],
    );
    judge(
        &listed(&[]),
        false,
        &["https://auth.shop", "http://8.8.8.8"],
    );
    judge(
        &listed(&["127.0.0.0/8"]),
        true,
        &["http://localhost", "http://127.1"],
    );
    judge(&listed(&["10.0.0.0/8"]), false, &["http://localhost"]);
}

#[test]
fn each_address_is_judged_whatever_its_name() {
    let standalone = Targets::standalone();
    for (targets, loopback) in [(&cluster(), false), (&standalone, true)] {
        let addresses = ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"];
        admit(targets, "auth.example.com", loopback, &addresses);
        let never = [
            "169.254.1.1",
            "::ffff:169.254.1.1",
            "fe80::1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
        ];
        admit(targets, "auth.example.com", false, &never);
        admit(
            targets,
            "auth.example.com",
            true,
            &["8.8.8.8", "10.0.0.1", "fd00::1", "2001:db8::1"],
        );
    }
    admit(
        &cluster(),
        "kubernetes.default.svc",
        false,
        &[API, "::ffff:10.96.0.1"],
    );
}

#[test]
fn entries_are_hosts_addresses_and_networks() {
    for (text, same) in [
        ("Auth.Shop.", "auth.shop"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("FD00::/8", "fd00::/8"),
    ] {
        assert_eq!(Entry::parse(text), Entry::parse(same), "{text}");
        assert!(Entry::parse(text).is_ok(), "{text}");
    }
    for text in [
        "",
        ".",
        "*",
        "*.",
        "a.*.com",
        "*a.com",
        "**.com",
        "auth..shop",
        "auth.shop:443",
        "https://auth.shop",
        "auth.shop/keys",
        "user@auth.shop",
        "10.0.0.0/33",
        "10.0.0",
        "127.1",
        "2130706433",
        "0x7f000001",
        "*.1",
        "[::1]",
        "fe80::1%eth0",
        "a b",
        "bücher.example",
    ] {
        assert!(Entry::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_refusal_says_where_it_leads_and_what_to_do() {
    let check = |targets: &Targets, url: &str, parts: [&str; 2]| {
        let said = targets.judge_url(url).unwrap_err();
        for part in parts {
            assert!(said.contains(part), "{said:?} lacks {part:?}");
        }
        assert!(!said.ends_with('.'), "{said:?}");
    };
    check(
        &cluster(),
        "http://127.1/",
        ["leads to 127.0.0.1, which is a loopback", "--allow-targets"],
    );
    check(
        &cluster(),
        "http://localhost/",
        ["leads to \"localhost\"", "--allow-targets"],
    );
    check(
        &cluster(),
        "http://10.96.0.1/",
        ["API server", "--allow-targets"],
    );
    check(&listed(&["a"]), "http://b/", ["leads to \"b\"", "lists"]);
}
