//! Where a token may stand: the header, the cookie, the query; once, twice, and with what does not belong there.

use super::visit::Visit;
use super::world::{BEN, World};
use super::{
    ANYBODY, AS_ANA, AS_BEN, BAD_TOKEN, Case, Expected, MALFORMED, NO_TOKEN, ORIGIN, TWO_TOKENS,
    ana,
};

pub fn cases(world: &World) -> Vec<Case> {
    let token = world.token(&ana());
    [
        each_way(&token),
        pairs(&token),
        odd_places(&token),
        odd_parameters(&token),
        line_ends(&token),
    ]
    .into_iter()
    .flatten()
    .collect()
}

type Way = (&'static str, fn(Visit, &str) -> Visit);

const WAYS: [Way; 3] = [
    ("header", Visit::token),
    ("cookie", Visit::cookie),
    ("query", Visit::access_token),
];

fn each_way(token: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for (way, put) in WAYS {
        let mut case = |what: &str, visit: Visit, expected| {
            cases.push(Case::new(format!("{what} by {way}"), visit, expected));
        };
        let signed = || Visit::channel("fixed-es256");
        case("a signed token", put(signed(), token), AS_ANA);
        case(
            "a forged token",
            put(signed(), &token[..token.len() - 2]),
            BAD_TOKEN,
        );
        case("an empty token", put(signed(), ""), NO_TOKEN);
        case(
            "a token of the Secret",
            put(Visit::channel("tokens"), BEN),
            AS_BEN,
        );
        case(
            "a part of it",
            put(Visit::channel("tokens"), &BEN[1..]),
            BAD_TOKEN,
        );
        case(
            "it and more",
            put(Visit::channel("tokens"), &format!("{BEN}x")),
            BAD_TOKEN,
        );
        let public = put(Visit::channel("open"), "nonsense");
        case("nonsense where no token is read", public, ANYBODY);
        let both = || Visit::channel("both");
        case(
            "a bad token beside anonymous",
            put(both(), "nonsense"),
            BAD_TOKEN,
        );
        case(
            "a token of the Secret beside anonymous",
            put(both(), BEN),
            BAD_TOKEN,
        );
    }
    cases
}

/// The same token in two places is one, two that differ are refused.
fn pairs(token: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for (at, (first, put_first)) in WAYS.into_iter().enumerate() {
        for (second, put_second) in WAYS.into_iter().skip(at) {
            let pair =
                |one: &str, two: &str| put_second(put_first(Visit::channel("either"), one), two);
            let name = format!("two tokens, {first} and {second}");
            cases.push(Case::new(&*name, pair(token, BEN), TWO_TOKENS));
            cases.push(Case::new(
                format!("{name}, turned"),
                pair(BEN, token),
                TWO_TOKENS,
            ));
            cases.push(Case::new(
                format!("{name}, one bad"),
                pair(token, "x"),
                TWO_TOKENS,
            ));
            cases.push(Case::new(
                format!("{name}, the same"),
                pair(token, token),
                AS_ANA,
            ));
            cases.push(Case::new(
                format!("{name}, one empty"),
                pair(token, ""),
                AS_ANA,
            ));
        }
    }
    let all = |token: &str, other: &str| {
        let visit = Visit::channel("either").token(token).cookie(token);
        visit.access_token(other)
    };
    cases.push(Case::new(
        "the same in all places",
        all(token, token),
        AS_ANA,
    ));
    cases.push(Case::new(
        "one of three differs",
        all(token, BEN),
        TWO_TOKENS,
    ));
    let public = Visit::channel("open").token(token).cookie(BEN);
    cases.push(Case::new("two tokens where none is read", public, ANYBODY));
    cases
}

/// `{}` stands for the token.
fn odd_places(token: &str) -> Vec<Case> {
    let authorization = [
        ("the scheme in lower case", "bearer {}", AS_ANA),
        ("the scheme in capitals", "BEARER {}", AS_ANA),
        ("several blanks after it", "Bearer   {}", AS_ANA),
        ("no blank after it", "Bearer{}", NO_TOKEN),
        ("no scheme", "{}", NO_TOKEN),
        ("another scheme", "Basic {}", NO_TOKEN),
        ("DPoP", "DPoP {}", NO_TOKEN),
        ("a scheme alone", "Bearer", NO_TOKEN),
    ];
    let cookies = [
        ("a cookie in quotes", "siar_token=\"{}\"", AS_ANA),
        ("a cookie of another name", "siar_token2={}", NO_TOKEN),
        ("a cookie whose name ends so", "x_siar_token={}", NO_TOKEN),
        ("a cookie in capitals", "SIAR_TOKEN={}", NO_TOKEN),
        ("a cookie within another", "x=\"siar_token={}\"", NO_TOKEN),
        ("a cookie without blanks", "a=1;siar_token={};b=2", AS_ANA),
    ];
    let others = [
        ("the header in capitals", "AUTHORIZATION", AS_ANA),
        ("another header", "X-Authorization", NO_TOKEN),
        ("the header of a proxy", "Proxy-Authorization", NO_TOKEN),
    ];
    let set = (
        "a cookie to be set",
        "Set-Cookie",
        "siar_token={}",
        NO_TOKEN,
    );
    let authorization =
        authorization.map(|(name, value, expected)| (name, "Authorization", value, expected));
    let cookies = cookies.map(|(name, value, expected)| (name, "Cookie", value, expected));
    let others = others.map(|(name, header, expected)| (name, header, "Bearer {}", expected));
    let all = authorization.into_iter().chain(cookies).chain(others);
    all.chain([set])
        .map(|(name, header, value, expected)| {
            let value = value.replace("{}", token);
            let visit = Visit::channel("fixed-es256").header(header, &value);
            Case::new(name, visit, expected)
        })
        .collect()
}

fn odd_parameters(token: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let encoded = |dot: &str| token.replace('.', dot);
    for (name, parameter, value, expected) in [
        ("in capitals", "ACCESS_TOKEN", token.to_owned(), NO_TOKEN),
        (
            "its name encoded",
            "access%5Ftoken",
            token.to_owned(),
            AS_ANA,
        ),
        ("its value encoded", "access_token", encoded("%2E"), AS_ANA),
        (
            "its value encoded twice",
            "access_token",
            encoded("%252E"),
            BAD_TOKEN,
        ),
        ("in brackets", "access_token[]", token.to_owned(), NO_TOKEN),
        ("of another name", "token", token.to_owned(), NO_TOKEN),
        (
            "behind a semicolon",
            "x",
            format!("1;access_token={token}"),
            NO_TOKEN,
        ),
        (
            "behind a fragment",
            "x",
            format!("1#&access_token={token}"),
            NO_TOKEN,
        ),
    ] {
        let visit = Visit::channel("fixed-es256").query(parameter, &value);
        cases.push(Case::new(format!("the parameter {name}"), visit, expected));
    }
    cases
}

/// Nothing of a request ever becomes a line of the answer.
fn line_ends(token: &str) -> Vec<Case> {
    let signed = || Visit::channel("fixed-es256");
    let evil = "%0d%0aX-Evil:%201%0d%0a%0d%0a";
    let header = |value: String| signed().header("Authorization", &value);
    let away = Expected::TurnedAway;
    vec![
        Case::new(
            "CRLF in the query's token",
            signed().access_token(&format!("{token}{evil}")),
            BAD_TOKEN,
        ),
        Case::new(
            "LF in the query's token",
            signed().access_token(&format!("{token}%0a")),
            BAD_TOKEN,
        ),
        Case::new(
            "NUL in the query's token",
            signed().access_token(&format!("{token}%00")),
            BAD_TOKEN,
        ),
        Case::new(
            "a byte that is no UTF-8 in the query's token",
            signed().access_token("%ff"),
            MALFORMED,
        ),
        Case::new(
            "CRLF in the header's token",
            header(format!("Bearer {token}\r\nX-Evil: 1")),
            AS_ANA,
        ),
        Case::new(
            "a header folded within the token",
            header(format!("Bearer {}\r\n {}", &token[..20], &token[20..])),
            away,
        ),
        Case::new(
            "CR in the header's token",
            header(format!("Bearer {token}\rX-Evil: 1")),
            away,
        ),
        Case::new(
            "NUL in the header's token",
            header(format!("Bearer {token}\0")),
            away,
        ),
        Case::new(
            "CRLF in an origin",
            signed()
                .token(token)
                .origin("https://a.example\r\nX-Evil: 1"),
            ORIGIN,
        ),
        Case::new(
            "CRLF in a topic",
            Visit::topic(&format!("fixed-es256.a{evil}")).token(token),
            MALFORMED,
        ),
        Case::new(
            "CRLF in a position",
            signed().token(token).query("last_event_id", evil),
            AS_ANA,
        ),
    ]
}
