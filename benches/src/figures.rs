//! Medians, tables in Markdown, and what became of the targets.

/// The middle of some figures.
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// The largest.
pub fn most(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(f64::NAN, f64::max)
}

/// The smallest.
pub fn least(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(f64::NAN, f64::min)
}

/// `12,345`.
pub fn grouped(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n) % 3 == 0 && digit.is_ascii_digit() {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Prints a table.
pub fn table(heads: &[&str], rows: &[Vec<String>]) {
    println!("\n| {} |", heads.join(" | "));
    println!("|{}", "---|".repeat(heads.len()));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}

/// What became of the targets.
#[derive(Default)]
pub struct Verdicts(Vec<(String, bool)>);

impl Verdicts {
    /// A figure that must be at least so much.
    pub fn at_least(&mut self, what: &str, figure: f64, target: f64) {
        let met = figure >= target;
        self.0.push((format!("{what}: {} (target: at least {})", short(figure), short(target)), met));
    }

    /// A figure that must be at most so much.
    pub fn at_most(&mut self, what: &str, figure: f64, target: f64) {
        let met = figure <= target;
        self.0.push((format!("{what}: {} (target: at most {})", short(figure), short(target)), met));
    }

    /// Prints them; gives how many were missed.
    pub fn print(&self) -> usize {
        for (text, met) in &self.0 {
            println!("{} {text}", if *met { "PASS" } else { "MISS" });
        }
        self.0.iter().filter(|(_, met)| !met).count()
    }
}

fn short(figure: f64) -> String {
    if figure.abs() >= 100.0 { grouped(figure) } else { format!("{figure:.2}") }
}
