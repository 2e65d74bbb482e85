//! Calls by hour as an inline drawing, with the same figures in words and in a table.

use std::fmt::Write;

use super::text::{Grouped, percent};
use crate::model::UtcOffset;
use crate::web::status::HourCount;

/// The drawing's own units: it is stretched to the space there is, so only bars and lines are in it.
const HEIGHT: usize = 100;
const SLOT: usize = 100;
/// A bar's part of its slot.
const BAR: usize = 72;
/// More bars could not be told apart.
const MOST_HOURS: usize = 48;
/// The largest figure of the scale.
const MOST_CALLS: u64 = 800_000_000_000_000_000;

/// Appends the chart of `hours`, oldest first, on a clock at `offset`. `id` makes its labels unique.
pub(super) fn write(out: &mut String, id: usize, hours: &[HourCount], offset: UtcOffset) {
    let hours = &hours[hours.len().saturating_sub(MOST_HOURS)..];
    if hours.is_empty() {
        out.push_str("<p class=\"quiet\">No hour has passed yet.</p>\n");
        return;
    }
    let top = ceiling(hours.iter().map(|hour| hour.calls).max().unwrap_or(0));
    let width = SLOT * hours.len();
    push(
        out,
        format_args!(
            "<div class=\"plot\">\n<div class=\"scale\" aria-hidden=\"true\"><span>{}</span><span>{}</span>\
             <span>0</span></div>\n<svg class=\"chart\" viewBox=\"0 0 {width} {HEIGHT}\" \
             preserveAspectRatio=\"none\" role=\"img\" \
             aria-labelledby=\"chart{id}-title chart{id}-text\">\n\
             <title id=\"chart{id}-title\">Calls by hour</title>\n\
             <desc id=\"chart{id}-text\">{}</desc>\n\
             <path class=\"grid\" d=\"M0 0H{width}M0 {}H{width}M0 {HEIGHT}H{width}\"/>\n",
            short(top),
            short(top / 2),
            in_words(hours, offset),
            HEIGHT / 2
        ),
    );
    for (at, hour) in hours.iter().enumerate() {
        bar(out, at * SLOT, hour, top, offset);
    }
    out.push_str("</svg>\n<div class=\"hours\" aria-hidden=\"true\">");
    for hour in hours {
        let clock = clock(hour, offset);
        let named = ["00:00", "06:00", "12:00", "18:00"].contains(&clock.as_str());
        push(out, format_args!("<span>{}</span>", if named { &clock } else { "" }));
    }
    out.push_str("</div>\n</div>\n");
    table(out, id, hours, offset);
}

/// The next round figure, even and at least 4, so that its half is a whole one.
fn ceiling(most: u64) -> u64 {
    let powers = (0..18).map(|exponent| 10_u64.pow(exponent));
    let round = powers.flat_map(|power| [1, 2, 4, 6, 8].map(|step| power * step));
    // What lies above the last one is drawn as high as it.
    let mut even = round.filter(|top| *top >= 4 && top % 2 == 0);
    even.find(|top| *top >= most).unwrap_or(MOST_CALLS)
}

/// `800`, `20k`, `4M`: figures of the scale are round.
fn short(figure: u64) -> String {
    match figure {
        1_000_000.. => format!("{}M", Grouped(figure / 1_000_000)),
        1_000.. => format!("{}k", figure / 1_000),
        _ => figure.to_string(),
    }
}

/// What became of the calls of an hour, in the order in which they are stacked.
fn parts(hour: &HourCount) -> [(&'static str, u64); 4] {
    let known = hour.answered.saturating_add(hour.failed).saturating_add(hour.unknown);
    [
        ("answered", hour.answered),
        ("unanswered", hour.calls.saturating_sub(known)),
        ("failed", hour.failed),
        ("unknown", hour.unknown),
    ]
}

/// One hour: answered calls below, the others on top of them.
fn bar(out: &mut String, x: usize, hour: &HourCount, top: u64, offset: UtcOffset) {
    let tall = |count: u64| HEIGHT as f64 * count.min(top) as f64 / top as f64;
    push(out, format_args!("<g><title>{}</title>", one_in_words(hour, offset)));
    let left = x + (SLOT - BAR) / 2;
    let mut below = 0_u64;
    for (class, count) in parts(hour) {
        let from = tall(below);
        below = below.saturating_add(count).min(hour.calls);
        let to = tall(below);
        if to > from {
            push(
                out,
                format_args!(
                    "<rect class=\"{class}\" x=\"{left}\" y=\"{:.2}\" width=\"{BAR}\" height=\"{:.2}\"/>",
                    HEIGHT as f64 - to,
                    to - from
                ),
            );
        }
    }
    // The whole slot can be pointed at, an empty hour too.
    push(out, format_args!("<rect class=\"slot\" x=\"{x}\" width=\"{SLOT}\" height=\"{HEIGHT}\"/></g>\n"));
}

/// `14:00` on the clock at `offset`.
fn clock(hour: &HourCount, offset: UtcOffset) -> String {
    let wall = hour.start.to_wall(offset).to_string();
    wall.get(11..16).unwrap_or_default().to_owned()
}

fn one_in_words(hour: &HourCount, offset: UtcOffset) -> String {
    let [(_, answered), (_, unanswered), (_, failed), (_, unknown)] = parts(hour);
    format!(
        "From {}: {} calls, {} answered, {} not answered, {} failed, {} unknown",
        clock(hour, offset),
        Grouped(hour.calls),
        Grouped(answered),
        Grouped(unanswered),
        Grouped(failed),
        Grouped(unknown)
    )
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

fn table(out: &mut String, id: usize, hours: &[HourCount], offset: UtcOffset) {
    push(
        out,
        format_args!(
            "<details id=\"hours{id}\"><summary id=\"hours{id}-summary\">The figures</summary>\n\
             <div class=\"wide\" id=\"hours{id}-table\" role=\"region\" tabindex=\"0\" \
             aria-label=\"Calls by hour\"><table>\n<thead><tr><th scope=\"col\">hour from</th>"
        ),
    );
    for name in ["calls", "answered", "share", "not answered", "failed", "unknown"] {
        push(out, format_args!("<th scope=\"col\" class=\"n\">{name}</th>"));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for hour in hours.iter().rev() {
        let wall = hour.start.to_wall(offset).to_string();
        let [(_, answered), (_, unanswered), (_, failed), (_, unknown)] = parts(hour);
        push(
            out,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td>\
                 <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
                 <td class=\"n\">{}</td></tr>\n",
                wall.get(..16).unwrap_or(&wall),
                Grouped(hour.calls),
                Grouped(answered),
                percent(answered, hour.calls.saturating_sub(unknown)),
                Grouped(unanswered),
                Grouped(failed),
                Grouped(unknown)
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
            failed: 0,
            unknown: 0,
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
                "50 calls in 3 hours, 70 % of them answered. Busiest hour: from 01:00: 40 calls, 30 answered, \
                 10 not answered, 0 failed, 0 unknown."
            ),
            "{out}"
        );
        assert!(out.contains("<th scope=\"row\">2026-03-02 01:00</th><td class=\"n\">40</td>"), "{out}");
        assert_eq!(out.matches("class=\"answered\"").count(), 2);
        assert_eq!(out.matches("class=\"unanswered\"").count(), 2);
    }

    #[test]
    fn every_call_of_an_hour_is_drawn_once() {
        let mut hours = hours(&[(100, 40)]);
        (hours[0].failed, hours[0].unknown) = (25, 5);
        let mut out = String::new();
        write(&mut out, 0, &hours, UtcOffset::default());
        for (class, y, height) in [
            ("answered", "60.00", "40.00"),
            ("unanswered", "30.00", "30.00"),
            ("failed", "5.00", "25.00"),
            ("unknown", "0.00", "5.00"),
        ] {
            let bar =
                format!("<rect class=\"{class}\" x=\"14\" y=\"{y}\" width=\"72\" height=\"{height}\"/>");
            assert!(out.contains(&bar), "{bar}\n{out}");
        }
        assert!(
            out.contains("<td class=\"n\">42 %</td><td class=\"n\">30</td>"),
            "unknown ones have no share: {out}"
        );
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
    fn the_scale_ends_at_a_round_figure_above_every_bar() {
        for (most, top) in [(0, 4), (3, 4), (5, 6), (10, 10), (11, 20), (150, 200), (6_001, 8_000)] {
            assert_eq!(ceiling(most), top, "{most}");
        }
    }
}
