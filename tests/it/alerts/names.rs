//! What rules name exists: metrics, their labels, and the labels that are left after aggregating.

use std::collections::{BTreeMap, BTreeSet};

use exotel_exporter::metrics::catalogue::{self, Kind};

use super::rules::{Rule, all};
use crate::support::promql::{Expr, Selector};

pub(super) type Labels = BTreeSet<String>;

/// The labels of each series that rules may name.
#[derive(Debug)]
pub(super) struct Known {
    recorded: BTreeMap<String, Labels>,
}

fn set(labels: &[&str]) -> Labels {
    labels.iter().map(|label| (*label).to_owned()).collect()
}

/// A family with `_bucket` and the like taken off, and whether something was taken off.
fn family(name: &str) -> (&str, bool) {
    for end in ["_bucket", "_sum", "_count"] {
        if let Some(stem) = name.strip_suffix(end)
            && catalogue::find(stem).is_some_and(|family| family.kind == Kind::Histogram)
        {
            return (stem, end == "_bucket");
        }
    }
    (name, false)
}

impl Known {
    /// Metrics of the catalogue, and what these rules record.
    pub(super) fn new(rules: &[Rule]) -> Result<Self, String> {
        let mut known = Self { recorded: BTreeMap::new() };
        for rule in rules.iter().filter(|rule| !rule.alerts) {
            let labels = known.labels(&rule.expr).map_err(|fault| format!("{}: {fault}", rule.place))?;
            let level: Labels =
                rule.name.split(':').next().unwrap_or("").split('_').map(str::to_owned).collect();
            if level != labels {
                return Err(format!("{}: the name says {level:?}, the labels are {labels:?}", rule.place));
            }
            known.recorded.insert(rule.name.clone(), labels);
        }
        Ok(known)
    }

    /// The labels of a series as Prometheus stores it.
    fn metric(&self, name: &str) -> Result<Labels, String> {
        if let Some(labels) = self.recorded.get(name) {
            return Ok(labels.clone());
        }
        let (stem, bucket) = family(name);
        let own = match catalogue::find(stem) {
            Some(family) => family.labels,
            None if name == "up" => &[],
            None => return Err(format!("no metric {name}")),
        };
        let mut labels = set(own);
        labels.extend(set(&["job", "instance"]));
        if bucket {
            labels.insert("le".to_owned());
        }
        Ok(labels)
    }

    fn selector(&self, selector: &Selector) -> Result<Labels, String> {
        let labels = self.metric(&selector.name)?;
        for (label, _, _) in &selector.matchers {
            if !labels.contains(label) {
                return Err(format!("{} has no label {label}", selector.name));
            }
        }
        Ok(labels)
    }

    /// The labels of the result of an expression.
    ///
    /// # Errors
    /// Names a metric or label that does not exist, and matching that two exporters would break.
    pub(super) fn labels(&self, expr: &Expr) -> Result<Labels, String> {
        match expr {
            Expr::Number(_) | Expr::Text(_) => Ok(Labels::new()),
            Expr::Selector(selector) => self.selector(selector),
            Expr::Negative(inner) | Expr::Subquery(inner, _) => self.labels(inner),
            Expr::Call(name, arguments) => {
                let inner = arguments.last().map_or(Ok(Labels::new()), |last| self.labels(last))?;
                match name.as_str() {
                    "time" | "vector" | "absent" | "absent_over_time" => Ok(Labels::new()),
                    "histogram_quantile" => Ok(inner.into_iter().filter(|label| label != "le").collect()),
                    // Their first argument is the vector.
                    "predict_linear" => self.labels(&arguments[0]),
                    _ => Ok(inner),
                }
            }
            Expr::Aggregate { op, by, arguments } => {
                let inner = arguments.last().map_or(Ok(Labels::new()), |last| self.labels(last))?;
                match by.iter().find(|label| !inner.contains(*label)) {
                    Some(missing) => {
                        Err(format!("{op} by ({missing}): what is aggregated has no such label"))
                    }
                    None => Ok(by.iter().cloned().collect()),
                }
            }
            Expr::Binary { many: Some(_), .. } => Err("a rule matches one series with one".to_owned()),
            Expr::Binary { op, on, left, right, .. } => self.binary(op, on.as_deref(), left, right),
        }
    }

    fn binary(&self, op: &str, on: Option<&[String]>, left: &Expr, right: &Expr) -> Result<Labels, String> {
        let (l, r) = (self.labels(left)?, self.labels(right)?);
        let sets = ["and", "or", "unless"].contains(&op);
        if is_scalar(left) || is_scalar(right) {
            return Ok(if is_scalar(left) { r } else { l });
        }
        if let Some(on) = on {
            if let Some(missing) = on.iter().find(|label| !l.contains(*label) || !r.contains(*label)) {
                return Err(format!("{op} on ({missing}): not both sides have this label"));
            }
            let matched: Labels = on.iter().cloned().collect();
            let one_target = on.iter().any(|label| label == "instance");
            let one_series = l.is_subset(&matched) && r.is_subset(&matched);
            if !(sets || one_target || one_series) {
                return Err(format!(
                    "{op} on {on:?}: with two exporters several series match one; aggregate, or match on instance too"
                ));
            }
            return Ok(if sets { l } else { matched });
        }
        if l != r {
            return Err(format!(
                "{op}: {l:?} on the left never equals {r:?} on the right; say on which labels"
            ));
        }
        Ok(l)
    }
}

fn is_scalar(expr: &Expr) -> bool {
    match expr {
        Expr::Number(_) => true,
        Expr::Call(name, _) => name == "time",
        Expr::Negative(inner) => is_scalar(inner),
        Expr::Binary { left, right, .. } => is_scalar(left) && is_scalar(right),
        _ => false,
    }
}

#[test]
fn every_metric_and_label_of_a_rule_is_exported() {
    let rules = all();
    let known = Known::new(&rules).unwrap();
    let faults: Vec<String> = rules
        .iter()
        .filter_map(|rule| known.labels(&rule.expr).err().map(|fault| format!("{}: {fault}", rule.place)))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
