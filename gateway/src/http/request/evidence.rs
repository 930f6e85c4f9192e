//! The token that a request brings.
//!
//! Owns: the three places where it may stand. Never: prints it. Pure. Used by: the routes.

use super::super::query::Query;
use super::Bad;
use crate::access::Token;
use http::{HeaderMap, header};

/// What a request brings to be admitted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    token: Option<Token>,
    /// It stood in the cookie and nowhere else: a page of another site may have made the browser send it.
    pub from_cookie: bool,
}

impl Evidence {
    /// Looks at `Authorization: Bearer`, `access_token=` and the cookie. An empty token is none, another
    /// scheme in `Authorization` is not for us; two tokens that differ are refused.
    pub fn parse(query: &Query, headers: &HeaderMap, cookie: &str) -> Result<Self, Bad> {
        let bearers = headers.get_all(header::AUTHORIZATION).iter();
        let explicit = bearers
            .filter_map(|value| bearer(value.as_bytes()))
            .chain(query.all("access_token"));
        let token = one(explicit)?;
        let cookies = headers.get_all(header::COOKIE).iter();
        let cookie = one(cookies.flat_map(|line| named(line.as_bytes(), cookie)))?;
        if token.is_some() && cookie.is_some() && token != cookie {
            return Err(Bad::TwoTokens);
        }
        Ok(Self {
            from_cookie: token.is_none() && cookie.is_some(),
            token: token.or(cookie),
        })
    }

    /// The token that counts. Cookies are left out where the answer may be read by any origin.
    #[must_use]
    pub fn token(self, cookies_count: bool) -> Option<Token> {
        let counts = cookies_count || !self.from_cookie;
        self.token.filter(|_| counts)
    }
}

fn one<'a>(tokens: impl Iterator<Item = &'a [u8]>) -> Result<Option<Token>, Bad> {
    let mut found: Option<&'a [u8]> = None;
    for token in tokens.filter(|token| !token.is_empty()) {
        if found.is_some_and(|found| found != token) {
            return Err(Bad::TwoTokens);
        }
        found = Some(token);
    }
    let Some(token) = found else {
        return Ok(None);
    };
    let text = std::str::from_utf8(token).or(Err(Bad::NotText("access_token")))?;
    Ok(Some(Token::new(text)))
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

/// The values of the cookie `name` in one `Cookie` line; quotes around a value are not part of it.
fn named<'a>(line: &'a [u8], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    line.split(|byte| *byte == b';').filter_map(move |pair| {
        let value = pair.trim_ascii().strip_prefix(name.as_bytes())?;
        let value = value.strip_prefix(b"=")?;
        let bare = value
            .strip_prefix(b"\"")
            .and_then(|value| value.strip_suffix(b"\""));
        Some(bare.unwrap_or(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        query: &str,
        lines: &[(header::HeaderName, &str)],
        expected: Result<(Option<&str>, bool), Bad>,
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value.parse().unwrap());
        }
        let parsed = Evidence::parse(&Query::parse(query), &headers, "siar_token");
        let expected = expected.map(|(token, from_cookie)| Evidence {
            token: token.map(Token::new),
            from_cookie,
        });
        assert_eq!(parsed, expected);
    }

    #[test]
    fn a_token_may_stand_in_three_places() {
        check("", &[], Ok((None, false)));
        check("access_token=a", &[], Ok((Some("a"), false)));
        check(
            "",
            &[(header::AUTHORIZATION, "bearer a")],
            Ok((Some("a"), false)),
        );
        check(
            "",
            &[(header::COOKIE, "x=1; siar_token=\"a\"; siar_token2=b")],
            Ok((Some("a"), true)),
        );
    }

    #[test]
    fn the_same_token_twice_is_one() {
        let lines = [
            (header::AUTHORIZATION, "Bearer a"),
            (header::COOKIE, "siar_token=a"),
        ];
        check("access_token=a", &lines, Ok((Some("a"), false)));
    }

    #[test]
    fn two_tokens_that_differ_are_refused() {
        let cookie = [(header::COOKIE, "siar_token=b")];
        check("access_token=a", &cookie, Err(Bad::TwoTokens));
        check("access_token=a&access_token=b", &[], Err(Bad::TwoTokens));
        check(
            "",
            &[(header::COOKIE, "siar_token=a; siar_token=b")],
            Err(Bad::TwoTokens),
        );
    }

    #[test]
    fn what_is_empty_or_for_others_is_no_token() {
        let lines = [
            (header::AUTHORIZATION, "Basic YTpi"),
            (header::COOKIE, "siar_token="),
        ];
        check("access_token=", &lines, Ok((None, false)));
        check("", &[(header::AUTHORIZATION, "Bearer")], Ok((None, false)));
    }

    #[test]
    fn a_cookie_does_not_count_where_any_origin_may_read() {
        let evidence = Evidence {
            token: Some(Token::new("a")),
            from_cookie: true,
        };
        assert_eq!(evidence.clone().token(false), None);
        assert_eq!(evidence.token(true), Some(Token::new("a")));
    }
}
