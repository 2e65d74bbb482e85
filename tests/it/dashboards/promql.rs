//! What a PromQL expression names: metrics, labels, windows, numbers.

use std::collections::BTreeSet;
use std::time::Duration;

use exotel_exporter::metrics::catalogue::{self, Kind};

use crate::support::promql::{self, Expr, Many, seconds};

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
/// With what was found where something else was expected, or a window that is none.
pub(crate) fn parse(expression: &str) -> Result<Expr, String> {
    let expression = Expr::read(expression)?;
    for (selector, _) in expression.selectors() {
        if let Some(range) = selector.range.as_deref().filter(|range| seconds(range).is_none()) {
            return Err(format!("{}[{range}]: no duration", selector.name));
        }
    }
    Ok(expression)
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
    let whole = |(selector, function): (&promql::Selector, Option<&str>)| Selector {
        name: selector.name.clone(),
        matchers: selector.matchers.clone(),
        function: function.map(str::to_owned),
        range: selector.range.as_deref().and_then(seconds).map(Duration::from_secs),
    };
    expression.selectors().into_iter().map(whole).collect()
}

/// All numbers, in their order.
pub(crate) fn numbers(expression: &Expr) -> Vec<f64> {
    let mut found = Vec::new();
    expression.walk(&mut Vec::new(), &mut |expression, _| {
        if let Expr::Number(number) = expression {
            found.extend(number.parse::<f64>());
        }
    });
    found
}

/// What divides something and comes from counters.
fn divisors(expression: &Expr) -> Vec<&Expr> {
    let mut found = Vec::new();
    expression.walk(&mut Vec::new(), &mut |expression, _| {
        if let Expr::Binary { op, right, .. } = expression
            && op == "/"
            && selectors(right).iter().any(|s| s.function.as_deref().is_some_and(is_growth))
        {
            found.push(&**right);
        }
    });
    found
}

/// The metrics of divisors that come from counters and are not kept above zero: `a / rate(b[5m])` instead of
/// `a / (rate(b[5m]) > 0)`.
pub(crate) fn unguarded_divisors(expression: &Expr) -> Vec<String> {
    let names = |divisor| {
        let names: Vec<String> = selectors(divisor).into_iter().map(|selector| selector.name).collect();
        names.join(", ")
    };
    divisors(expression).into_iter().filter(|divisor| !is_guarded(divisor)).map(names).collect()
}

/// Whether something is divided by what a counter gained: a ratio that rests on a number of events.
pub(crate) fn is_ratio(expression: &Expr) -> bool {
    let gained =
        |divisor: &&Expr| selectors(divisor).iter().any(|s| s.function.as_deref() == Some("increase"));
    divisors(expression).iter().any(gained)
}

/// The labels of the result; none for a scalar.
///
/// # Errors
/// The first label that is asked for where it cannot be, or metric that `known` does not know.
pub(crate) fn labels(expression: &Expr, known: Known<'_>) -> Result<Option<BTreeSet<String>>, String> {
    match expression {
        Expr::Number(_) | Expr::Text(_) => Ok(None),
        Expr::Negative(inner) | Expr::Subquery(inner, _) => labels(inner, known),
        Expr::Selector(selector) => {
            let metric =
                known(&selector.name).ok_or_else(|| format!("there is no metric {}", selector.name))?;
            let asked = selector.matchers.iter().map(|(label, _, _)| label);
            missing(asked, &metric.labels).map_or(Ok(Some(metric.labels.clone())), |label| {
                Err(format!("{} has no label {label}", selector.name))
            })
        }
        Expr::Aggregate { op, by, arguments } => {
            // A parameter stands before what is aggregated.
            let inner = arguments.last().map_or(Ok(None), |inner| labels(inner, known))?.unwrap_or_default();
            if let Some(label) = missing(by, &inner) {
                return Err(format!("{op} by ({label}): what is aggregated has {inner:?}"));
            }
            // These choose among whole series.
            let chooses = ["topk", "bottomk"].contains(&op.as_str());
            Ok(Some(if chooses { inner } else { by.iter().cloned().collect() }))
        }
        Expr::Call(function, arguments) => of_call(function, arguments, known),
        Expr::Binary { op, on, many, left, right } => {
            let (left, right) = (labels(left, known)?, labels(right, known)?);
            match (left, right) {
                (Some(left), Some(right)) => of_binary(op, on.as_deref(), *many, left, right).map(Some),
                (left, right) => Ok(left.or(right)),
            }
        }
    }
}

fn of_call(function: &str, arguments: &[Expr], known: Known<'_>) -> Result<Option<BTreeSet<String>>, String> {
    let mut result = None;
    for argument in arguments {
        result = result.or(labels(argument, known)?);
    }
    match function {
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
            if let Some(Expr::Text(target)) = arguments.get(1) {
                labels.insert(target.clone());
            }
            Ok(Some(labels))
        }
        _ => Ok(result),
    }
}

fn of_binary(
    op: &str,
    on: Option<&[String]>,
    many: Option<Many>,
    left: BTreeSet<String>,
    right: BTreeSet<String>,
) -> Result<BTreeSet<String>, String> {
    for (side, labels) in [("left", &left), ("right", &right)] {
        // `or on () vector(1)` and the like match without any label.
        if let Some(label) = missing(on.unwrap_or_default(), labels) {
            return Err(format!("{op} on ({label}): not a label of the {side} side, which has {labels:?}"));
        }
    }
    match (op, on, many) {
        ("and" | "unless", _, _) => Ok(left),
        ("or", _, _) => Ok(left.union(&right).cloned().collect()),
        (_, None, _) if left != right => Err(format!("{op}: {left:?} never meets {right:?}")),
        (_, _, Some(Many::Left)) | (_, None, None) => Ok(left),
        (_, _, Some(Many::Right)) => Ok(right),
        (_, Some(on), None) => Ok(on.iter().cloned().collect()),
    }
}

fn missing<'a>(asked: impl IntoIterator<Item = &'a String>, there: &BTreeSet<String>) -> Option<&'a String> {
    asked.into_iter().find(|label| !there.contains(*label))
}

fn is_growth(function: &str) -> bool {
    ["rate", "irate", "increase", "delta", "deriv"].contains(&function)
}

fn is_guarded(expression: &Expr) -> bool {
    matches!(expression, Expr::Binary { op, right, .. }
        if op == ">" && matches!(&**right, Expr::Number(number) if number.parse::<f64>().is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(expression: &str) -> Result<Vec<String>, String> {
        labels(&parse(expression)?, &exported).map(|labels| labels.unwrap_or_default().into_iter().collect())
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
            ("sum by (exophone) (exotel_up)", "by (exophone): what is aggregated has {\"account\""),
            ("histogram_quantile(0.9, exotel_up)", "without le"),
            ("exotel_up - sum by (account) (exotel_up)", "never meets"),
            (
                "exotel_up and on (exophone) exotel_exophone_info",
                "on (exophone): not a label of the left side",
            ),
            ("exotel_up[1x]", "exotel_up[1x]: no duration"),
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
        assert_eq!(unguarded_divisors(&expression), ["exotel_up"]);
        assert!(unguarded_divisors(&parse("a / (sum(rate(b[5m])) > 0)").unwrap()).is_empty());
        assert!(unguarded_divisors(&parse("a / b").unwrap()).is_empty());
    }
}
