//! Which pages may read an answer.
//!
//! Owns: the judgement of an origin, and the headers that come of it. Never: decides about evidence. Pure.
//! Used by: the routes and `refusal`.

use crds::policy::Origins;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, HOST, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

/// Lines of a response head.
pub type Lines = Vec<(HeaderName, HeaderValue)>;

/// What a page may send that is not allowed without asking.
const METHODS: &str = "GET, POST";
const HEADERS: &str = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Cache-Control";
/// How long a browser may remember the answer to a preflight, in seconds: as long as Chromium does at most.
const MAX_AGE: &str = "7200";

/// Where a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Site {
    /// No `Origin`: not a page of another site.
    Absent,
    /// The request's own host and port, and its scheme where that is known.
    Own,
    Other(HeaderValue),
}

/// What a Channel says about a site; the later ones are stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing needs to be said: no page of another site is there.
    Same,
    /// Listed: it may read, with credentials.
    Listed,
    /// Any origin may read, without credentials; cookies do not count.
    Any,
    Refused,
}

impl Site {
    /// Reads `Origin`, and compares it with `Host` or `:authority`. `https`: whether the client is known to
    /// speak TLS.
    #[must_use]
    pub fn of(headers: &HeaderMap, uri: &Uri, https: Option<bool>) -> Self {
        let Some(origin) = headers.get(ORIGIN) else {
            return Self::Absent;
        };
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let own = uri.authority().map(http::uri::Authority::as_str).or(host);
        let text = origin.to_str().unwrap_or_default();
        match own {
            Some(own) if is_own(text, own, https) => Self::Own,
            _ => Self::Other(origin.clone()),
        }
    }

    /// What one Channel says.
    #[must_use]
    pub fn judge(&self, origins: &Origins) -> Verdict {
        let Self::Other(origin) = self else {
            return Verdict::Same;
        };
        let text = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        if origins.listed.contains(&text) {
            Verdict::Listed
        } else if origins.any {
            Verdict::Any
        } else {
            Verdict::Refused
        }
    }

    /// What several Channels of one request say together: the strictest counts.
    pub fn judge_all<'a>(&self, all: impl IntoIterator<Item = &'a Origins>) -> Verdict {
        let verdicts = all.into_iter().map(|origins| self.judge(origins));
        verdicts.max().unwrap_or(self.unknown())
    }

    /// The union of what Channels say, for a request that does not tell which one it means.
    pub fn judge_any<'a>(&self, all: impl IntoIterator<Item = &'a Origins>) -> Verdict {
        let verdicts = all.into_iter().map(|origins| self.judge(origins));
        verdicts.min().unwrap_or(self.unknown())
    }

    fn unknown(&self) -> Verdict {
        match self {
            Self::Absent | Self::Own => Verdict::Same,
            Self::Other(_) => Verdict::Refused,
        }
    }

    /// The lines of an answer under `verdict`.
    #[must_use]
    pub fn lines(&self, verdict: Verdict) -> Lines {
        let mut lines = vec![(VARY, HeaderValue::from_static("Origin"))];
        match (self, verdict) {
            (Self::Other(origin), Verdict::Listed) => {
                lines.push((ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()));
                let credentials = HeaderValue::from_static("true");
                lines.push((ACCESS_CONTROL_ALLOW_CREDENTIALS, credentials));
            }
            (Self::Other(_), Verdict::Any) => {
                lines.push((ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")));
            }
            (Self::Other(_), Verdict::Same | Verdict::Refused) | (Self::Absent | Self::Own, _) => {}
        }
        lines
    }
}

/// The further lines of the answer to a preflight.
#[must_use]
pub fn preflight() -> Lines {
    [
        (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ]
    .map(|(name, value)| (name, HeaderValue::from_static(value)))
    .into()
}

/// An ingress usually ends TLS, so an unknown scheme is taken to be the origin's.
fn is_own(origin: &str, own: &str, https: Option<bool>) -> bool {
    let Some((scheme, host)) = origin.split_once("://") else {
        return false;
    };
    let usual_port = match scheme {
        "https" if https != Some(false) => 443,
        "http" if https != Some(true) => 80,
        _ => return false,
    };
    let (origin, own) = (split_port(host, usual_port), split_port(own, usual_port));
    matches!((origin, own), (Some((a, p)), Some((b, q))) if p == q && a.eq_ignore_ascii_case(b))
}

/// Host and port; the host of an IPv6 address keeps its brackets.
fn split_port(authority: &str, usual: u16) -> Option<(&str, u16)> {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => Some((host, port.parse().ok()?)),
        _ => Some((authority, usual)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(origin: &str, host: &str, https: Option<bool>) -> Site {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, origin.parse().unwrap());
        headers.insert(HOST, host.parse().unwrap());
        Site::of(&headers, &Uri::from_static("/stream"), https)
    }

    #[track_caller]
    fn check_own(origin: &str, host: &str, https: Option<bool>, expected: bool) {
        assert_eq!(
            site(origin, host, https) == Site::Own,
            expected,
            "{origin} {host}"
        );
    }

    #[test]
    fn an_origin_is_the_requests_own_by_host_and_port() {
        check_own("https://a.example", "a.example", None, true);
        check_own("https://A.example", "a.EXAMPLE:443", None, true);
        check_own("http://a.example:8080", "a.example:8080", None, true);
        check_own("http://[::1]:8080", "[::1]:8080", None, true);
        check_own("http://[::1]", "[::1]", None, true);
        check_own("https://a.example", "b.example", None, false);
        check_own("https://a.example:8443", "a.example", None, false);
        check_own("https://a.example", "a.example:80", None, false);
        check_own("null", "null", None, false);
        check_own("chrome-extension://a", "a", None, false);
    }

    #[test]
    fn its_scheme_counts_only_where_it_is_known() {
        check_own("https://a.example", "a.example", Some(true), true);
        check_own("https://a.example", "a.example", Some(false), false);
        check_own("http://a.example", "a.example", Some(true), false);
    }

    #[test]
    fn over_http2_the_authority_is_the_host() {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, HeaderValue::from_static("http://a.example:8080"));
        let uri = Uri::from_static("http://a.example:8080/stream");
        assert_eq!(Site::of(&headers, &uri, None), Site::Own);
    }

    fn origins(texts: &[&str]) -> Origins {
        Origins {
            any: texts.contains(&"*"),
            listed: texts.iter().map(ToString::to_string).collect(),
        }
    }

    #[track_caller]
    fn check(origin: &str, lists: &[&[&str]], all: Verdict, any: Verdict) {
        let site = site(origin, "a.example", None);
        let lists: Vec<_> = lists.iter().map(|list| origins(list)).collect();
        assert_eq!((site.judge_all(&lists), site.judge_any(&lists)), (all, any));
    }

    #[test]
    fn the_strictest_of_a_streams_channels_counts_and_the_union_for_the_rest() {
        let (shop, other) = ("https://shop.example", "https://other.example");
        check(shop, &[&[shop]], Verdict::Listed, Verdict::Listed);
        check(
            "https://SHOP.example",
            &[&[shop]],
            Verdict::Listed,
            Verdict::Listed,
        );
        check(shop, &[&[shop, "*"]], Verdict::Listed, Verdict::Listed);
        check(shop, &[&[shop], &["*"]], Verdict::Any, Verdict::Listed);
        check(
            shop,
            &[&[shop], &[other]],
            Verdict::Refused,
            Verdict::Listed,
        );
        check(shop, &[&[]], Verdict::Refused, Verdict::Refused);
        check(shop, &[], Verdict::Refused, Verdict::Refused);
        check("null", &[&["null"]], Verdict::Listed, Verdict::Listed);
        check("https://a.example", &[&[]], Verdict::Same, Verdict::Same);
    }

    #[track_caller]
    fn check_lines(verdict: Verdict, expected: &[&str]) {
        let lines = site("https://shop.example", "a.example", None).lines(verdict);
        let lines: Vec<_> = lines
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_listed_origin_is_echoed_with_credentials_and_a_star_without() {
        check_lines(
            Verdict::Listed,
            &[
                "vary: Origin",
                "access-control-allow-origin: https://shop.example",
                "access-control-allow-credentials: true",
            ],
        );
        check_lines(
            Verdict::Any,
            &["vary: Origin", "access-control-allow-origin: *"],
        );
        check_lines(Verdict::Refused, &["vary: Origin"]);
    }
}
