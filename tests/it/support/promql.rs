//! Reads PromQL as far as our own rules and panels use it, so that tests can ask what an expression names.
//!
//! Whether an expression is valid is for promtool to say; this reader refuses what it does not know instead of guessing.
//! The one crate that parses PromQL brings forty others, an unmaintained one among them.

mod token;

use std::iter::Peekable;
use std::vec::IntoIter;

use token::{Token, tokens};

/// The side of an operator of which several series may meet one of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Many {
    /// `group_left`.
    Left,
    /// `group_right`.
    Right,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    /// A number, or a duration where one stands alone.
    Number(String),
    /// A text.
    Text(String),
    /// A metric with what narrows it.
    Selector(Selector),
    /// A function with its arguments.
    Call(String, Vec<Expr>),
    /// An aggregation; labels are those of `by`, none when it has no clause. `without` is not read.
    Aggregate { op: String, by: Vec<String>, arguments: Vec<Expr> },
    /// An operator between two.
    Binary { op: String, on: Option<Vec<String>>, many: Option<Many>, left: Box<Expr>, right: Box<Expr> },
    /// A minus before one.
    Negative(Box<Expr>),
    /// A range over an expression, as written between the brackets.
    Subquery(Box<Expr>, String),
}

/// A metric with what narrows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    /// Its name; empty where only matchers choose.
    pub(crate) name: String,
    /// Label, operator, value.
    pub(crate) matchers: Vec<(String, String, String)>,
    /// `5m` of `[5m]`.
    pub(crate) range: Option<String>,
    /// `1w` of `offset 1w`.
    pub(crate) offset: Option<String>,
}

impl Expr {
    /// Reads one.
    ///
    /// # Errors
    /// With what was found where something else was expected.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut reader = Reader { tokens: tokens(text)?.into_iter().peekable() };
        let expr = reader.binary(0)?;
        match reader.tokens.next() {
            None => Ok(expr),
            Some(token) => Err(format!("`{token}` after the end of the expression")),
        }
    }

    /// Calls `look` with this expression and all below it; the functions and aggregations around come along, outermost first.
    pub(crate) fn walk<'a>(&'a self, around: &mut Vec<&'a str>, look: &mut impl FnMut(&'a Expr, &[&'a str])) {
        look(self, around);
        match self {
            Self::Number(_) | Self::Text(_) | Self::Selector(_) => {}
            Self::Negative(inner) | Self::Subquery(inner, _) => inner.walk(around, look),
            Self::Binary { left, right, .. } => {
                left.walk(around, look);
                right.walk(around, look);
            }
            Self::Call(name, arguments) | Self::Aggregate { op: name, arguments, .. } => {
                around.push(name);
                for argument in arguments {
                    argument.walk(around, look);
                }
                around.pop();
            }
        }
    }

    /// Every metric in it with the function right around it, if any.
    pub(crate) fn selectors(&self) -> Vec<(&Selector, Option<&str>)> {
        let mut found = Vec::new();
        self.walk(&mut Vec::new(), &mut |expr, around| {
            if let Self::Selector(selector) = expr {
                found.push((selector, around.last().copied()));
            }
        });
        found
    }
}

struct Reader {
    tokens: Peekable<IntoIter<Token>>,
}

/// How strongly an operator binds, and whether it is one.
fn strength(op: &str) -> Option<u8> {
    Some(match op {
        "or" => 1,
        "and" | "unless" => 2,
        "==" | "!=" | ">" | "<" | ">=" | "<=" => 3,
        "+" | "-" => 4,
        "*" | "/" | "%" => 5,
        "^" => 6,
        _ => return None,
    })
}

const AGGREGATIONS: [&str; 9] =
    ["sum", "min", "max", "avg", "count", "group", "topk", "bottomk", "count_values"];

impl Reader {
    fn binary(&mut self, least: u8) -> Result<Expr, String> {
        let mut left = self.unary()?;
        while let Some(op) = self.tokens.peek().map(ToString::to_string) {
            let Some(strength) = strength(&op).filter(|strength| *strength > least) else { break };
            self.tokens.next();
            if self.take("bool") {
                return Err("`bool` makes 0 of what a comparison should leave out".to_owned());
            }
            let on = if self.take("on") { Some(self.labels()?) } else { None };
            if self.take("ignoring") {
                return Err("`ignoring` breaks when a metric gets a new label; use `on`".to_owned());
            }
            let many = self.many()?;
            let right = self.binary(strength)?;
            left = Expr::Binary { op, on, many, left: Box::new(left), right: Box::new(right) };
        }
        Ok(left)
    }

    fn many(&mut self) -> Result<Option<Many>, String> {
        let many = if self.take("group_left") {
            Many::Left
        } else if self.take("group_right") {
            Many::Right
        } else {
            return Ok(None);
        };
        if self.tokens.peek().is_some_and(|token| token.is("(")) && !self.labels()?.is_empty() {
            return Err("labels that are taken over from the other side are not known here".to_owned());
        }
        Ok(Some(many))
    }

    fn unary(&mut self) -> Result<Expr, String> {
        if self.take("-") {
            return Ok(Expr::Negative(Box::new(self.unary()?)));
        }
        let mut expr = match self.tokens.next() {
            Some(Token::Number(number)) => Expr::Number(number),
            Some(Token::Text(text)) => Expr::Text(text),
            Some(Token::Sign("(")) => {
                let inner = self.binary(0)?;
                self.expect(")")?;
                inner
            }
            Some(Token::Word(word)) => self.word(word)?,
            Some(Token::Sign("{")) => self.matchers(String::new())?,
            other => return Err(format!("an expression was expected, {} found", shown(other.as_ref()))),
        };
        loop {
            if let Some(Token::Range(range)) = self.tokens.peek().cloned() {
                self.tokens.next();
                expr = match expr {
                    Expr::Selector(selector) if selector.range.is_none() => {
                        Expr::Selector(Selector { range: Some(range), ..selector })
                    }
                    other => Expr::Subquery(Box::new(other), range),
                };
            } else if self.take("offset") {
                let Some(Token::Number(by)) = self.tokens.next() else {
                    return Err("a duration was expected after offset".to_owned());
                };
                match &mut expr {
                    Expr::Selector(selector) => selector.offset = Some(by),
                    _ => return Err("an offset of something that is no metric".to_owned()),
                }
            } else {
                return Ok(expr);
            }
        }
    }

    fn word(&mut self, word: String) -> Result<Expr, String> {
        if AGGREGATIONS.contains(&word.as_str()) {
            if self.take("without") {
                return Err("`without` keeps labels that nobody counted on; use `by`".to_owned());
            }
            let mut by = if self.take("by") { self.labels()? } else { Vec::new() };
            self.expect("(")?;
            let arguments = self.arguments()?;
            if self.take("by") {
                by = self.labels()?;
            }
            return Ok(Expr::Aggregate { op: word, by, arguments });
        }
        if self.take("(") {
            return Ok(Expr::Call(word, self.arguments()?));
        }
        if self.take("{") {
            return self.matchers(word);
        }
        Ok(Expr::Selector(Selector { name: word, matchers: Vec::new(), range: None, offset: None }))
    }

    /// What stands in the braces behind a name, the opening one read.
    fn matchers(&mut self, name: String) -> Result<Expr, String> {
        let mut matchers = Vec::new();
        while !self.take("}") {
            let (Some(Token::Word(label)), Some(Token::Sign(op)), Some(Token::Text(value))) =
                (self.tokens.next(), self.tokens.next(), self.tokens.next())
            else {
                return Err(format!("a matcher was expected in the braces of {name}"));
            };
            if !["=", "!=", "=~", "!~"].contains(&op) {
                return Err(format!("{name}: {op} matches no label"));
            }
            matchers.push((label, op.to_owned(), value));
            if !self.take(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(Expr::Selector(Selector { name, matchers, range: None, offset: None }))
    }

    fn arguments(&mut self) -> Result<Vec<Expr>, String> {
        let mut arguments = Vec::new();
        while !self.take(")") {
            arguments.push(self.binary(0)?);
            if !self.take(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(arguments)
    }

    fn labels(&mut self) -> Result<Vec<String>, String> {
        self.expect("(")?;
        let mut labels = Vec::new();
        while !self.take(")") {
            match self.tokens.next() {
                Some(Token::Word(label)) => labels.push(label),
                other => return Err(format!("a label was expected, {} found", shown(other.as_ref()))),
            }
            self.take(",");
        }
        Ok(labels)
    }

    fn take(&mut self, wanted: &str) -> bool {
        self.tokens.next_if(|token| token.is(wanted)).is_some()
    }

    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        if self.take(wanted) {
            return Ok(());
        }
        Err(format!("`{wanted}` was expected, {} found", shown(self.tokens.peek())))
    }
}

/// Seconds of a duration of Prometheus (`1h30m`).
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let mut total = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = match &rest[digits..=digits] {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return None,
        };
        total += number * unit;
        rest = &rest[digits + 1..];
    }
    Some(total)
}

fn shown(token: Option<&Token>) -> String {
    token.map_or_else(|| "the end".to_owned(), |token| format!("`{token}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_bind_as_in_prometheus() {
        let expr = Expr::read("a / (b > 30) > 0.25 unless on (account) c").unwrap();
        let Expr::Binary { op, on, left, .. } = expr else { panic!("{expr:?}") };
        assert_eq!((op.as_str(), on), ("unless", Some(vec!["account".to_owned()])));
        let Expr::Binary { op, right, .. } = *left else { panic!("{left:?}") };
        assert_eq!((op.as_str(), *right), (">", Expr::Number("0.25".to_owned())));
    }

    #[test]
    fn selectors_come_with_matchers_ranges_offsets_and_the_function_around() {
        let expr = Expr::read(
            r#"sum by (le) (rate(x_bucket{p=~"a|b", q!=""}[15m])) + min_over_time(count(y)[1h:1m]) - z:r offset 1w"#,
        )
        .unwrap();
        let found = expr.selectors();
        let names: Vec<_> = found.iter().map(|(s, around)| (s.name.as_str(), *around)).collect();
        assert_eq!(names, [("x_bucket", Some("rate")), ("y", Some("count")), ("z:r", None)]);
        assert_eq!(found[0].0.matchers[0], ("p".into(), "=~".into(), "a|b".into()));
        assert_eq!(found[0].0.range.as_deref(), Some("15m"));
        assert_eq!(found[2].0.offset.as_deref(), Some("1w"));
    }

    #[test]
    fn one_side_may_have_several_series() {
        let expr = Expr::read("a * on (b) group_left () (c - d)").unwrap();
        assert!(matches!(expr, Expr::Binary { many: Some(Many::Left), .. }), "{expr:?}");
        let expr = Expr::read("a * on (b) group_right c").unwrap();
        assert!(matches!(expr, Expr::Binary { many: Some(Many::Right), .. }), "{expr:?}");
    }

    #[test]
    fn matchers_alone_choose_too() {
        let expr = Expr::read(r#"count({__name__=~"a|b",})"#).unwrap();
        let found = expr.selectors();
        assert_eq!(found[0].0.name, "");
        assert_eq!(found[0].0.matchers, [("__name__".into(), "=~".into(), "a|b".into())]);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for bad in [
            "sum(",
            "a b",
            "a{b}",
            "a{b=\"c\" d=\"e\"}",
            "a{b>\"c\"}",
            "a{",
            "a + ignoring (b) c",
            "a * on (b) group_left (c) d",
            "a > bool 1",
            "sum without (a) (b)",
            "a > ",
            "a offset b",
            "a $ b",
        ] {
            assert!(Expr::read(bad).is_err(), "{bad}");
        }
    }
}
