//! Taking a page apart that a JSON parser refuses, row by row.
//!
//! A raw line break in a caller's name, or `NaN` for a price, makes the whole body invalid although the
//! other 99 rows are fine. Strings and brackets are still there to be followed. A page that is cut off is
//! not rescued: asking again is better.

/// The parts of a page that could be told apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    /// Text of the `Metadata` object, where there is one.
    pub(super) metadata: Option<&'a str>,
    /// Text of each element of `Calls`.
    pub(super) rows: Vec<&'a str>,
}

/// Splits `{"Metadata": {…}, "Calls": [ … ]}`; none unless every bracket is closed.
pub(super) fn rows(text: &str) -> Option<Parts<'_>> {
    let mut metadata = None;
    let mut calls = None;
    for (key, value) in members(text.trim())? {
        match key {
            r#""Metadata""# => metadata = Some(value),
            r#""Calls""# => calls = Some(value),
            _ => {}
        }
    }
    let inner = calls?.strip_prefix('[')?.strip_suffix(']')?;
    let rows = split(inner, b',')?.into_iter().map(str::trim).collect::<Vec<_>>();
    // An empty array splits into one empty text.
    let rows = if rows == [""] { Vec::new() } else { rows };
    Some(Parts { metadata, rows })
}

/// Keys (quoted) and values of an object.
fn members(object: &str) -> Option<Vec<(&str, &str)>> {
    let inner = object.strip_prefix('{')?.strip_suffix('}')?;
    split(inner, b',')?
        .into_iter()
        .map(|member| {
            let parts = split(member, b':')?;
            let key = parts.first()?;
            Some((key.trim(), member.get(key.len() + 1..)?.trim()))
        })
        .collect()
}

/// Splits at `separator` outside of strings and brackets; none if a string or bracket stays open.
fn split(text: &str, separator: u8) -> Option<Vec<&str>> {
    let (mut depth, mut in_string, mut escaped, mut start) = (0_usize, false, false, 0);
    let mut parts = Vec::new();
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            _ if byte == separator && depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if depth > 0 || in_string {
        return None;
    }
    parts.push(&text[start..]);
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_with_a_broken_row_is_taken_apart() {
        let page = "{\"Metadata\": {\"Total\": 3, \"NextPageUri\": \"/a:b,c\"},\n \"Calls\": [{\"a\": \"x\ny]\"}, {\"Price\": NaN}, {\"b\": [1, \"\\\"}\"]}]}";
        let parts = rows(page).unwrap();
        assert_eq!(parts.metadata, Some(r#"{"Total": 3, "NextPageUri": "/a:b,c"}"#));
        assert_eq!(parts.rows, ["{\"a\": \"x\ny]\"}", "{\"Price\": NaN}", r#"{"b": [1, "\"}"]}"#]);
        assert_eq!(rows(r#"{"Calls": [], x}"#), None);
        assert_eq!(rows(r#"{"Calls": [ ], "x": NaN}"#).unwrap().rows.len(), 0);
    }

    #[test]
    fn a_page_that_is_cut_off_is_not() {
        let page = r#"{"Metadata": {"Total": 1}, "Calls": [{"Sid": "a"}, {"Sid": "b"}]}"#;
        for end in 0..page.len() {
            assert_eq!(rows(&page[..end]), None, "{end}");
        }
        assert!(rows(page).is_some());
        for bad in ["", "<html>", "null", "[]", "{}", "]}", r#"{"Calls": {}}"#] {
            assert_eq!(rows(bad), None, "{bad}");
        }
    }
}
