//! Foreign text made fit for an error message or a log: short, on one line, without numbers of people.

/// How much of a foreign text is shown.
const SHOWN: usize = 200;

/// Digits in a row, separators aside, from which a text may be a phone number.
const NUMBER_DIGITS: usize = 7;

/// The first 200 bytes of a body, for a message: control characters and runs of blanks become one
/// blank, runs of seven or more digits and `sip:` users are hidden.
pub(crate) fn excerpt(body: &[u8]) -> String {
    // A little more than is shown is masked, so that a number on the cut is recognised.
    let head = &body[..body.len().min(SHOWN + 40)];
    let mut line = masked(&one_line(&String::from_utf8_lossy(head)));
    if line.len() > SHOWN {
        let cut = (0..=SHOWN).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        line.truncate(cut);
    }
    if body.len() > SHOWN {
        line.push('…');
    }
    line
}

fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        // U+FFFD stands for bytes that are no text; one is enough.
        let c = if c.is_control() || c.is_whitespace() { ' ' } else { c };
        if !((c == ' ' || c == '\u{fffd}') && line.ends_with(c)) {
            line.push(c);
        }
    }
    line.trim().to_owned()
}

/// Hides what may be a phone number: `+91 99000-00001` becomes `+## #####-#####`.
pub(crate) fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if rest.get(..4).is_some_and(|p| p.eq_ignore_ascii_case("sip:")) {
            let end = rest[4..].find(|c: char| !(c.is_alphanumeric() || "._-+".contains(c)));
            out.push_str("sip:#");
            rest = &rest[end.map_or(rest.len(), |at| at + 4)..];
        } else if c.is_ascii_digit() {
            let run = number_run(rest);
            let digits = run.bytes().filter(u8::is_ascii_digit).count();
            if digits >= NUMBER_DIGITS {
                out.extend(run.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }));
            } else {
                out.push_str(run);
            }
            rest = &rest[run.len()..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// The digits at the start of `text`, single separators between them included.
fn number_run(text: &str) -> &str {
    let bytes = text.as_bytes();
    let mut end = 0;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at].is_ascii_digit() {
            end = at + 1;
        } else if !(matches!(bytes[at], b' ' | b'-' | b'.' | b'(' | b')') && end == at) {
            break;
        }
        at += 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_people_are_hidden_and_short_ones_stay() {
        assert_eq!(masked("Call to [09900000001] failed with 403"), "Call to [###########] failed with 403");
        assert_eq!(masked("+91 99000-00001"), "+## #####-#####");
        assert_eq!(masked("code 34010, line 12"), "code 34010, line 12");
        assert_eq!(masked("to sip:agent00000001@x, and Sip:a"), "to sip:#@x, and sip:#");
        assert_eq!(masked("९९०००००००१ é"), "९९०००००००१ é");
    }

    #[test]
    fn an_excerpt_is_short_and_on_one_line() {
        assert_eq!(excerpt(b"<html>\r\n\t<b>Bad\x00Gateway</b>"), "<html> <b>Bad Gateway</b>");
        let long = excerpt("é".repeat(5000).as_bytes());
        assert!(long.len() <= SHOWN + 4 && long.ends_with('…'), "{long}");
        // A number that begins just before the cut is hidden all the same.
        let cut = excerpt(format!("{}09900000001 and more", "x".repeat(195)).as_bytes());
        assert!(!cut.contains('9'), "{cut}");
        assert_eq!(excerpt(&[0xff, 0xfe, 0xff]), "\u{fffd}");
    }
}
