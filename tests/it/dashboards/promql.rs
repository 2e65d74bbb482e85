//! What a PromQL expression names: metrics, labels, windows, numbers.

use std::collections::BTreeSet;
use std::time::Duration;

use exotel_exporter::metrics::catalogue::{self, Kind};
use promql_parser::label::Matcher;
use promql_parser::parser::token::{T_BOTTOMK, T_DIV, T_GTR, T_LAND, T_LOR, T_LUNLESS, T_TOPK};
use promql_parser::parser::{self, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality};

/// One selector of an expression, and what stands around it.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    /// Name of the metric, with `_bucket`, `_sum` or `_count`; empty where only matchers choose.
    pub(crate) name: String,
    /// Label, operator, value: `("job", "=~", "$job")`.
    pub(crate) matchers: Vec<(String, String, String)>,
    /// The function that it is an argument of, if it is one directly.
    pub(crate) function: Option<String>,
    /// The range in brackets.
    pub(crate) range: Option<Duration>,
}

/// A metric as far as a query needs to know it.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    /// The family: without `_bucket`, `_sum`, `_count`.
    pub(crate) family: String,
    /// Counter, gauge, histogram.
    pub(crate) kind: Kind,
    /// Labels of its series, those of the scrape and `le` included.
    pub(crate) labels: BTreeSet<String>,
}

/// Says what a metric of this name is; none if there is no such thing.
pub(crate) type Known<'a> = &'a dyn Fn(&str) -> Option<Metric>;

/// Reads an expression.
///
/// # Errors
/// The parser's own words.
pub(crate) fn parse(expression: &str) -> Result<Expr, String> {
    parser::parse(expression)
}

/// The metric of this name, if the program exports it.
pub(crate) fn exported(name: &str) -> Option<Metric> {
    [name, stem(name)]
        .into_iter()
        .find_map(catalogue::find)
        .and_then(|family| metric(family.name, family.kind, family.labels, name))
}

/// A metric of a family; none if the family has no series of this name.
pub(crate) fn metric(family: &str, kind: Kind, labels: &[&str], name: &str) -> Option<Metric> {
    if (kind == Kind::Histogram) == (name == family) {
        return None;
    }
    let le = name.ends_with("_bucket").then_some("le");
    let labels = labels.iter().copied().chain(["job", "instance"]).chain(le);
    Some(Metric { family: family.to_owned(), kind, labels: labels.map(str::to_owned).collect() })
}

/// The name without what a histogram adds to it.
pub(crate) fn stem(name: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

/// All selectors, in their order.
pub(crate) fn selectors(expression: &Expr) -> Vec<Selector> {
    let mut found = Vec::new();
    walk(expression, None, &mut |expression, function| {
        let (vector, range) = match expression {
            Expr::VectorSelector(vector) => (vector, None),
            Expr::MatrixSelector(matrix) => (&matrix.vs, Some(matrix.range)),
            _ => return,
        };
        let matchers = vector
            .matchers
            .matchers
            .iter()
            .map(|Matcher { op, name, value }| (name.clone(), op.to_string(), value.clone()));
        found.push(Selector {
            name: vector.name.clone().unwrap_or_default(),
            matchers: matchers.collect(),
            function: function.map(str::to_owned),
            range,
        });
    });
    found
}

/// All numbers, in their order.
pub(crate) fn numbers(expression: &Expr) -> Vec<f64> {
    let mut found = Vec::new();
    walk(expression, None, &mut |expression, _| {
        if let Expr::NumberLiteral(number) = expression {
            found.push(number.val);
        }
    });
    found
}

/// Divisors that come from counters and are not kept above zero: `a / rate(b[5m])` instead of `a / (rate(b[5m]) > 0)`.
pub(crate) fn unguarded_divisors(expression: &Expr) -> Vec<String> {
    let mut found = Vec::new();
    walk(expression, None, &mut |expression, _| {
        if let Expr::Binary(BinaryExpr { op, rhs, .. }) = expression
            && op.id() == T_DIV
            && selectors(rhs).iter().any(|s| s.function.as_deref().is_some_and(is_growth))
            && !is_guarded(rhs)
        {
            found.push(rhs.to_string());
        }
    });
    found
}

/// Whether something is divided by what a counter gained: a ratio that rests on a number of events.
pub(crate) fn is_ratio(expression: &Expr) -> bool {
    let mut found = false;
    walk(expression, None, &mut |expression, _| {
        if let Expr::Binary(BinaryExpr { op, rhs, .. }) = expression {
            found |=
                op.id() == T_DIV && selectors(rhs).iter().any(|s| s.function.as_deref() == Some("increase"));
        }
    });
    found
}

/// The labels of the result; none for a scalar.
///
/// # Errors
/// The first label that is asked for where it cannot be, or metric that `known` does not know.
pub(crate) fn labels(expression: &Expr, known: Known<'_>) -> Result<Option<BTreeSet<String>>, String> {
    match expression {
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => Ok(None),
        Expr::Paren(inner) => labels(&inner.expr, known),
        Expr::Unary(inner) => labels(&inner.expr, known),
        Expr::Subquery(inner) => labels(&inner.expr, known),
        Expr::VectorSelector(_) | Expr::MatrixSelector(_) => {
            let selector = selectors(expression).pop().expect("the selector itself");
            let metric =
                known(&selector.name).ok_or_else(|| format!("there is no metric {}", selector.name))?;
            let asked = selector.matchers.iter().map(|(label, _, _)| label);
            missing(asked, &metric.labels).map_or(Ok(Some(metric.labels.clone())), |label| {
                Err(format!("{} has no label {label}", selector.name))
            })
        }
        Expr::Aggregate(aggregate) => {
            let inner = labels(&aggregate.expr, known)?.unwrap_or_default();
            let grouped: BTreeSet<String> = match &aggregate.modifier {
                Some(LabelModifier::Include(by)) => {
                    if let Some(label) = missing(&by.labels, &inner) {
                        return Err(format!("by ({label}): not a label of {}", aggregate.expr));
                    }
                    by.labels.iter().cloned().collect()
                }
                Some(LabelModifier::Exclude(without)) => {
                    inner.iter().filter(|label| !without.labels.contains(label)).cloned().collect()
                }
                None => BTreeSet::new(),
            };
            // These choose among whole series.
            Ok(Some(if [T_TOPK, T_BOTTOMK].contains(&aggregate.op.id()) { inner } else { grouped }))
        }
        Expr::Call(call) => of_call(call, known),
        Expr::Binary(binary) => of_binary(binary, known),
    }
}

fn of_call(Call { func, args }: &Call, known: Known<'_>) -> Result<Option<BTreeSet<String>>, String> {
    let mut result = None;
    for argument in &args.args {
        result = result.or(labels(argument, known)?);
    }
    match func.name {
        "vector" => Ok(Some(BTreeSet::new())),
        "time" | "scalar" => Ok(None),
        "histogram_quantile" => {
            let mut labels = result.unwrap_or_default();
            if labels.remove("le") {
                Ok(Some(labels))
            } else {
                Err("histogram_quantile of something without le".to_owned())
            }
        }
        "label_replace" => {
            let mut labels = result.unwrap_or_default();
            if let Some(Expr::StringLiteral(target)) = args.args.get(1).map(|argument| &**argument) {
                labels.insert(target.val.clone());
            }
            Ok(Some(labels))
        }
        _ => Ok(result),
    }
}

fn of_binary(binary: &BinaryExpr, known: Known<'_>) -> Result<Option<BTreeSet<String>>, String> {
    let (left, right) = (labels(&binary.lhs, known)?, labels(&binary.rhs, known)?);
    let (Some(left), Some(right)) = (left.clone(), right.clone()) else { return Ok(left.or(right)) };
    let modifier = binary.modifier.as_ref();
    let on = match modifier.and_then(|modifier| modifier.matching.as_ref()) {
        Some(LabelModifier::Include(on)) => {
            for (side, labels) in [(&binary.lhs, &left), (&binary.rhs, &right)] {
                // `or on () vector(1)` and the like match without any label.
                if let Some(label) = missing(&on.labels, labels) {
                    return Err(format!("on ({label}): not a label of {side}"));
                }
            }
            Some(on.labels.iter().cloned().collect::<BTreeSet<_>>())
        }
        _ => None,
    };
    match binary.op.id() {
        T_LAND | T_LUNLESS => return Ok(Some(left)),
        T_LOR => return Ok(Some(left.union(&right).cloned().collect())),
        _ => {}
    }
    if on.is_none() && left != right {
        return Err(format!(
            "{left:?} never meets {right:?} in {binary}",
            binary = Expr::Binary(binary.clone())
        ));
    }
    Ok(Some(match modifier.map(|modifier| &modifier.card) {
        Some(VectorMatchCardinality::ManyToOne(_)) => left,
        Some(VectorMatchCardinality::OneToMany(_)) => right,
        _ => on.unwrap_or(left),
    }))
}

fn missing<'a>(asked: impl IntoIterator<Item = &'a String>, there: &BTreeSet<String>) -> Option<&'a String> {
    asked.into_iter().find(|label| !there.contains(*label))
}

fn is_growth(function: &str) -> bool {
    ["rate", "irate", "increase", "delta", "deriv"].contains(&function)
}

fn is_guarded(expression: &Expr) -> bool {
    match expression {
        Expr::Paren(inner) => is_guarded(&inner.expr),
        Expr::Binary(BinaryExpr { op, rhs, .. }) => {
            op.id() == T_GTR && matches!(&**rhs, Expr::NumberLiteral(number) if number.val >= 0.0)
        }
        _ => false,
    }
}

/// Every node, and the function that it is a direct argument of.
fn walk(expression: &Expr, function: Option<&str>, visit: &mut dyn FnMut(&Expr, Option<&str>)) {
    visit(expression, function);
    match expression {
        Expr::Paren(inner) => walk(&inner.expr, function, visit),
        Expr::Unary(inner) => walk(&inner.expr, None, visit),
        Expr::Subquery(inner) => walk(&inner.expr, None, visit),
        Expr::Aggregate(aggregate) => {
            walk(&aggregate.expr, None, visit);
            if let Some(parameter) = &aggregate.param {
                walk(parameter, None, visit);
            }
        }
        Expr::Binary(binary) => {
            walk(&binary.lhs, None, visit);
            walk(&binary.rhs, None, visit);
        }
        Expr::Call(call) => {
            for argument in &call.args.args {
                walk(argument, Some(call.func.name), visit);
            }
        }
        Expr::VectorSelector(_)
        | Expr::MatrixSelector(_)
        | Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::Extension(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(expression: &str) -> Result<Vec<String>, String> {
        labels(&parse(expression).unwrap(), &exported)
            .map(|labels| labels.unwrap_or_default().into_iter().collect())
    }

    #[test]
    fn labels_of_a_result_are_those_that_prometheus_would_give() {
        for (expression, expected) in [
            ("sum by (account) (rate(exotel_calls_total[5m]))", &["account"][..]),
            ("exotel_up", &["account", "instance", "job"]),
            ("sum(exotel_up)", &[]),
            (
                "topk by (account) (3, sum by (account, exophone) (exotel_exophone_info))",
                &["account", "exophone"],
            ),
            ("histogram_quantile(0.9, sum by (le) (rate(exotel_call_settle_delay_seconds_bucket[1h])))", &[]),
            ("time() - exotel_sync_head_timestamp_seconds", &["account", "instance", "job"]),
            ("label_replace(sum(exotel_up), \"of\", \"x\", \"\", \"\") or vector(0)", &["of"]),
            (
                "sum by (account, exophone) (exotel_exophone_info) * on (account) group_left () \
                 sum by (account) (exotel_up)",
                &["account", "exophone"],
            ),
        ] {
            assert_eq!(result(expression).unwrap(), expected, "{expression}");
        }
    }

    #[test]
    fn a_metric_or_label_that_is_not_there_is_named() {
        for (expression, fault) in [
            ("exotel_upp", "there is no metric exotel_upp"),
            ("exotel_call_settle_delay_seconds", "there is no metric exotel_call_settle_delay_seconds"),
            ("exotel_up{exophone=\"a\"}", "exotel_up has no label exophone"),
            ("sum by (exophone) (exotel_up)", "by (exophone): not a label of exotel_up"),
            ("histogram_quantile(0.9, exotel_up)", "without le"),
            ("exotel_up - sum by (account) (exotel_up)", "never meets"),
            ("exotel_up and on (exophone) exotel_exophone_info", "on (exophone): not a label of exotel_up"),
        ] {
            let found = result(expression).unwrap_err();
            assert!(found.contains(fault), "{expression}: {found}");
        }
    }

    #[test]
    fn windows_functions_numbers_and_divisors_are_found() {
        let expression =
            parse("0.5 * increase(exotel_calls_total{status=\"failed\"}[1h]) / rate(exotel_up[5m])").unwrap();
        let found = selectors(&expression);
        assert_eq!(found[0].name, "exotel_calls_total");
        assert_eq!(found[0].matchers, [("status".to_owned(), "=".to_owned(), "failed".to_owned())]);
        assert_eq!(found[0].function.as_deref(), Some("increase"));
        assert_eq!(found[0].range, Some(Duration::from_secs(3600)));
        assert_eq!(numbers(&expression), [0.5]);
        assert_eq!(unguarded_divisors(&expression).len(), 1);
        assert!(unguarded_divisors(&parse("a / (sum(rate(b[5m])) > 0)").unwrap()).is_empty());
        assert!(unguarded_divisors(&parse("a / b").unwrap()).is_empty());
    }
}
