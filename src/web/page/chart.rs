//! Calls by hour as an inline drawing, with the same figures in words and in a table.

use std::fmt::Write;

use super::text::{Grouped, percent};
use crate::model::UtcOffset;
use crate::web::status::HourCount;

/// The drawing's own units; the page scales it.
const WIDTH: usize = 720;
const HEIGHT: usize = 190;
/// Left of the bars, for the figures of the grid.
const LEFT: usize = 48;
/// Above and below the bars.
const TOP: usize = 10;
const BOTTOM: usize = 26;
/// More bars could not be told apart.
const MOST_HOURS: usize = 48;
/// The largest figure of the grid.
const MOST_CALLS: u64 = 800_000_000_000_000_000;

/// Appends the chart of `hours`, oldest first, on a clock at `offset`. `id` makes its labels unique.
pub(super) fn write(out: &mut String, id: usize, hours: &[HourCount], offset: UtcOffset) {
    let hours = &hours[hours.len().saturating_sub(MOST_HOURS)..];
    if hours.is_empty() {
        out.push_str("<p class=\"quiet\">No hour has passed yet.</p>\n");
        return;
    }
    let top = ceiling(hours.iter().map(|hour| hour.calls).max().unwrap_or(0));
    push(
        out,
        format_args!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             aria-labelledby=\"chart{id}-title chart{id}-text\">\n\
             <title id=\"chart{id}-title\">Calls by hour</title>\n\
             <desc id=\"chart{id}-text\">{}</desc>\n",
            in_words(hours, offset)
        ),
    );
    grid(out, top);
    bars(out, hours, top, offset);
    out.push_str("</svg>\n");
    table(out, hours, offset);
}

/// The next round figure, even and at least 4, so that its half is a whole one.
fn ceiling(most: u64) -> u64 {
    let powers = (0..18).map(|exponent| 10_u64.pow(exponent));
    let round = powers.flat_map(|power| [1, 2, 4, 6, 8].map(|step| power * step));
    // What lies above the last one is drawn as high as it.
    let mut even = round.filter(|top| *top >= 4 && top % 2 == 0);
    even.find(|top| *top >= most).unwrap_or(MOST_CALLS)
}

fn grid(out: &mut String, top: u64) {
    let plot = HEIGHT - TOP - BOTTOM;
    for (y, value) in [(TOP, top), (TOP + plot / 2, top / 2), (TOP + plot, 0)] {
        push(
            out,
            format_args!(
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y}\" y2=\"{y}\"/>\
                 <text class=\"figure\" x=\"{}\" y=\"{}\">{}</text>\n",
                LEFT - 8,
                y + 4,
                Grouped(value)
            ),
        );
    }
}

fn bars(out: &mut String, hours: &[HourCount], top: u64, offset: UtcOffset) {
    let plot = (HEIGHT - TOP - BOTTOM) as f64;
    let base = (HEIGHT - BOTTOM) as f64;
    let slot = (WIDTH - LEFT) as f64 / hours.len() as f64;
    let width = slot * 0.72;
    for (at, hour) in hours.iter().enumerate() {
        let left = LEFT as f64 + slot * at as f64 + (slot - width) / 2.0;
        let tall = |count: u64| plot * count.min(top) as f64 / top as f64;
        let answered = hour.answered.min(hour.calls);
        push(out, format_args!("<g><title>{}</title>", one_in_words(hour, offset)));
        for (class, from, count) in
            [("answered", 0, answered), ("unanswered", answered, hour.calls - answered)]
        {
            if count > 0 {
                let height = tall(count);
                let y = base - tall(from) - height;
                push(
                    out,
                    format_args!(
                        "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
                         height=\"{height:.1}\"/>"
                    ),
                );
            }
        }
        // The whole slot can be pointed at, an empty hour too.
        push(
            out,
            format_args!(
                "<rect class=\"slot\" x=\"{:.1}\" y=\"{TOP}\" width=\"{slot:.1}\" height=\"{plot}\"/></g>\n",
                LEFT as f64 + slot * at as f64
            ),
        );
        let clock = clock(hour, offset);
        if clock.ends_with("00:00") && ["00", "06", "12", "18"].contains(&&clock[..2]) {
            push(
                out,
                format_args!(
                    "<text class=\"hour\" x=\"{:.1}\" y=\"{}\">{}</text>\n",
                    left + width / 2.0,
                    HEIGHT - 6,
                    &clock[..5]
                ),
            );
        }
    }
}

/// `14:00:00` on the clock at `offset`.
fn clock(hour: &HourCount, offset: UtcOffset) -> String {
    let wall = hour.start.to_wall(offset).to_string();
    wall.split_once(' ').map(|(_, clock)| clock.to_owned()).unwrap_or_default()
}

fn one_in_words(hour: &HourCount, offset: UtcOffset) -> String {
    let clock = clock(hour, offset);
    let clock = clock.get(..5).unwrap_or("");
    format!("From {clock}: {} calls, {} answered", Grouped(hour.calls), Grouped(hour.answered))
}

fn in_words(hours: &[HourCount], offset: UtcOffset) -> String {
    let sum = |count: fn(&HourCount) -> u64| hours.iter().map(count).fold(0, u64::saturating_add);
    let calls = sum(|hour| hour.calls);
    if calls == 0 {
        return format!("No calls in {} hours.", hours.len());
    }
    let busiest = hours.iter().max_by_key(|hour| hour.calls).map(|hour| one_in_words(hour, offset));
    format!(
        "{} calls in {} hours, {} of them answered. Busiest hour: {}.",
        Grouped(calls),
        hours.len(),
        percent(sum(|hour| hour.answered), calls),
        busiest.unwrap_or_default().to_lowercase()
    )
}

fn table(out: &mut String, hours: &[HourCount], offset: UtcOffset) {
    out.push_str(
        "<details><summary>The figures</summary>\n<div class=\"wide\"><table>\n<thead><tr>\
         <th scope=\"col\">hour from</th><th scope=\"col\" class=\"n\">calls</th>\
         <th scope=\"col\" class=\"n\">answered</th></tr></thead>\n<tbody>\n",
    );
    for hour in hours.iter().rev() {
        let wall = hour.start.to_wall(offset).to_string();
        push(
            out,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
                wall.get(..16).unwrap_or(&wall),
                Grouped(hour.calls),
                Grouped(hour.answered)
            ),
        );
    }
    out.push_str("</tbody></table></div></details>\n");
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes every write");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn hours(counts: &[(u64, u64)]) -> Vec<HourCount> {
        // 2026-03-02 00:00:00 at +05:30.
        let first = 1_772_389_800;
        let hour = |(at, (calls, answered)): (usize, &(u64, u64))| HourCount {
            start: Timestamp(first + 3600 * at as i64),
            calls: *calls,
            answered: *answered,
        };
        counts.iter().enumerate().map(hour).collect()
    }

    fn drawn(counts: &[(u64, u64)]) -> String {
        let mut out = String::new();
        write(&mut out, 0, &hours(counts), UtcOffset::default());
        out
    }

    #[test]
    fn the_drawing_says_in_words_what_it_shows() {
        let out = drawn(&[(10, 5), (40, 30), (0, 0)]);
        assert!(
            out.contains(
                "50 calls in 3 hours, 70 % of them answered. Busiest hour: from 01:00: 40 calls, 30 answered."
            ),
            "{out}"
        );
        assert!(out.contains("<th scope=\"row\">2026-03-02 01:00</th><td class=\"n\">40</td>"), "{out}");
        assert_eq!(out.matches("class=\"answered\"").count(), 2);
        assert_eq!(out.matches("class=\"unanswered\"").count(), 2);
    }

    #[test]
    fn nothing_and_too_much_can_be_drawn() {
        assert!(drawn(&[]).contains("No hour has passed yet"));
        assert!(drawn(&[(0, 0); 24]).contains("No calls in 24 hours."));
        let out = drawn(&[(u64::MAX, u64::MAX - 1); 90]);
        assert_eq!(out.matches("<g>").count(), MOST_HOURS);
        assert!(!out.contains("NaN") && !out.contains("inf") && !out.contains("\"-"), "{out}");
    }

    #[test]
    fn the_grid_ends_at_a_round_figure_above_every_bar() {
        for (most, top) in [(0, 4), (3, 4), (5, 6), (10, 10), (11, 20), (150, 200), (6_001, 8_000)] {
            assert_eq!(ceiling(most), top, "{most}");
        }
    }
}
