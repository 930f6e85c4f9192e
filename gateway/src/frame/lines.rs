//! Splits the data of a message into the lines that a frame carries.
//!
//! Owns: what ends a line (CRLF, CR or LF, as the HTML standard says, and nothing else). Never:
//! allocates; knows of ids, topics or sockets. Used by: `frame`.

/// The lines of `data` without their endings. Empty data is one empty line, so it is still a message.
pub fn lines(data: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(data);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\r', '\n']) else {
            return rest.take();
        };
        let (line, tail) = text.split_at(end);
        rest = tail.strip_prefix("\r\n").or_else(|| tail.get(1..));
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    #[track_caller]
    fn check(data: &str, expected: &[&str]) {
        assert_eq!(Vec::from_iter(super::lines(data)), expected, "{data:?}");
    }

    #[test]
    fn crlf_ends_one_line_not_two() {
        check("a\r\nb", &["a", "b"]);
        check("a\n\rb", &["a", "", "b"]);
        check("a\rb", &["a", "b"]);
    }

    #[test]
    fn n_line_ends_make_n_plus_one_lines() {
        check("", &[""]);
        check("\n", &["", ""]);
        check("\n\n", &["", "", ""]);
        check("a\n", &["a", ""]);
    }

    #[test]
    fn nothing_else_ends_a_line() {
        let text = "\u{b}\u{c}\u{1c}\u{1d}\u{1e}\u{85}\u{2028}\u{2029}\0\u{feff}";
        check(text, &[text]);
    }

    proptest! {
        #[test]
        fn joined_lines_are_the_data_with_lf(data in "[a\r\n]{0,12}") {
            let expected = data.replace("\r\n", "\n").replace('\r', "\n");
            prop_assert_eq!(Vec::from_iter(super::lines(&data)).join("\n"), expected);
        }
    }
}
