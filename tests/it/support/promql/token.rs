//! Words and signs of PromQL.

use std::fmt;

/// A word or sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Name, keyword, label, operator in letters.
    Word(String),
    /// Number or duration.
    Number(String),
    /// What stood between quotes, escapes left as they were.
    Text(String),
    /// What stood between brackets.
    Range(String),
    /// Anything else.
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: [&str; 20] = [
    "==", "!=", ">=", "<=", "=~", "!~", "(", ")", "{", "}", ",", "=", ">", "<", "+", "-", "*", "/", "%", "^",
];

impl Token {
    /// Whether it is this word or sign.
    pub(super) fn is(&self, wanted: &str) -> bool {
        match self {
            Self::Word(word) => word == wanted,
            Self::Sign(sign) => *sign == wanted,
            _ => false,
        }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(text) | Self::Number(text) => f.write_str(text),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Range(text) => write!(f, "[{text}]"),
            Self::Sign(text) => f.write_str(text),
        }
    }
}

/// Cuts a text into words and signs; comments are left out.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '#' => {
                rest = rest.split_once('\n').map_or("", |(_, after)| after).trim_start();
                continue;
            }
            '"' | '\'' => {
                let inner = quoted(rest, first).ok_or("a quote is not closed")?;
                tokens.push(Token::Text(inner.to_owned()));
                inner.len() + 2
            }
            '[' => {
                let end = rest.find(']').ok_or("a bracket is not closed")?;
                tokens.push(Token::Range(rest[1..end].trim().to_owned()));
                end + 1
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                let word = span(rest, |c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
                tokens.push(Token::Word(word.to_owned()));
                word.len()
            }
            c if c.is_ascii_digit() || c == '.' => {
                let number = span(rest, |c| c.is_ascii_alphanumeric() || c == '.');
                tokens.push(Token::Number(number.to_owned()));
                number.len()
            }
            other => {
                let sign = SIGNS
                    .iter()
                    .find(|sign| rest.starts_with(**sign))
                    .ok_or_else(|| format!("`{other}` is not known"))?;
                tokens.push(Token::Sign(sign));
                sign.len()
            }
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn span(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    &text[..text.find(|c| !belongs(c)).unwrap_or(text.len())]
}

fn quoted(text: &str, quote: char) -> Option<&str> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(&text[1..at]),
            _ => {}
        }
    }
    None
}
