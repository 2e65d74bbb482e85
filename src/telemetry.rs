//! Log lines on standard error: logfmt or JSON, one event a line, never a colour code.
//!
//! Both shapes name the same things in the same order: `ts`, `level`, `msg`, `target`, then the fields
//! of the spans around the event from the outermost in, then its own. Text that could break a line or
//! fake another one (newlines, quotes, escape codes) is escaped.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, reload};

use crate::config::{Log, LogFormat};

/// Changes the level while the program runs; the format stays.
#[derive(Clone, Debug)]
pub struct LevelHandle(reload::Handle<Targets, Registry>);

impl LevelHandle {
    /// Logs at this level from now on.
    pub fn set(&self, level: Level) {
        // The only error is that logging is gone, and then there is nothing to change.
        self.0.reload(filter(level)).ok();
    }
}

/// Starts logging for the whole process.
///
/// # Errors
/// When logging was started before.
pub fn init(log: &Log) -> anyhow::Result<LevelHandle> {
    let (filter, handle) = reload::Layer::new(filter(log.level));
    tracing_subscriber::registry().with(filter).with(layer(log.format, std::io::stderr)).try_init()?;
    Ok(LevelHandle(handle))
}

/// Ours at the level asked for; libraries only when they warn, since their chatter names what they send.
fn filter(level: Level) -> Targets {
    let libraries = LevelFilter::from_level(level).min(LevelFilter::WARN);
    Targets::new().with_default(libraries).with_target("exotel_exporter", level)
}

fn layer<S, W>(format: LogFormat, writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + 'static,
{
    tracing_subscriber::fmt::layer()
        .fmt_fields(Line(format))
        .event_format(Line(format))
        .with_ansi(false)
        .with_writer(writer)
}

/// Writes events and the fields of spans in one of the shapes.
#[derive(Clone, Copy, Debug)]
struct Line(LogFormat);

impl<S> FormatEvent<S, Self> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, Self>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut own = Pairs::new(self.0);
        event.record(&mut own);
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        let target = own.target.take().unwrap_or_else(|| event.metadata().target().to_owned());

        let mut line = Pairs::new(self.0);
        line.text("ts", &format!("{:.3}", jiff::Timestamp::now()));
        line.text("level", &level);
        line.text("msg", &own.message);
        line.text("target", target.strip_prefix("exotel_exporter::").unwrap_or(&target));
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<FormattedFields<Self>>() {
                line.pairs.push_str(&fields.fields);
            }
        }
        line.pairs.push_str(&own.pairs);
        // Each pair begins with its separator; the first one is cut.
        match self.0 {
            LogFormat::Logfmt => writeln!(writer, "{}", &line.pairs[1..]),
            LogFormat::Json => writeln!(writer, "{{{}}}", &line.pairs[1..]),
        }
    }
}

impl<'w> FormatFields<'w> for Line {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut pairs = Pairs::new(self.0);
        fields.record(&mut pairs);
        if !pairs.message.is_empty() {
            let message = std::mem::take(&mut pairs.message);
            pairs.text("message", &message);
        }
        writer.write_str(&pairs.pairs)
    }

    fn add_fields(
        &self,
        current: &'w mut FormattedFields<Self>,
        fields: &tracing::span::Record<'_>,
    ) -> fmt::Result {
        self.format_fields(current.as_writer(), fields)
    }
}

/// Fields as text, each with its separator before it.
struct Pairs {
    format: LogFormat,
    pairs: String,
    message: String,
    /// The target of an event that came through the `log` crate.
    target: Option<String>,
}

impl Pairs {
    fn new(format: LogFormat) -> Self {
        Self { format, pairs: String::new(), message: String::new(), target: None }
    }

    fn key(&mut self, key: &str) {
        let key = key.strip_prefix("r#").unwrap_or(key);
        match self.format {
            LogFormat::Logfmt => {
                self.pairs.push(' ');
                // A field's name is whatever its author wrote; in logfmt it must not end itself.
                self.pairs.extend(
                    key.chars().map(|c| if c.is_ascii_graphic() && c != '=' && c != '"' { c } else { '_' }),
                );
                self.pairs.push('=');
            }
            LogFormat::Json => {
                self.pairs.push(',');
                self.json(key);
                self.pairs.push(':');
            }
        }
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        match self.format {
            LogFormat::Logfmt if is_bare(value) => self.pairs.push_str(value),
            // JSON's escapes are logfmt's too.
            LogFormat::Logfmt | LogFormat::Json => self.json(value),
        }
    }

    fn json(&mut self, text: &str) {
        self.pairs.push('"');
        for c in text.chars() {
            match c {
                '"' => self.pairs.push_str("\\\""),
                '\\' => self.pairs.push_str("\\\\"),
                '\n' => self.pairs.push_str("\\n"),
                '\r' => self.pairs.push_str("\\r"),
                '\t' => self.pairs.push_str("\\t"),
                // Line separators and direction marks too: some viewers obey them.
                c if c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                    write!(self.pairs, "\\u{:04x}", u32::from(c)).expect("writing to a string cannot fail");
                }
                c => self.pairs.push(c),
            }
        }
        self.pairs.push('"');
    }

    /// A number or a truth value: bare in both shapes.
    fn plain(&mut self, field: &Field, value: impl fmt::Display) {
        if field.name().starts_with("log.") {
            return;
        }
        self.key(field.name());
        write!(self.pairs, "{value}").expect("writing to a string cannot fail");
    }
}

/// Whether a text needs no quotes in logfmt.
fn is_bare(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| {
            !c.is_control() && (c.is_ascii_graphic() || c.is_alphanumeric()) && !matches!(c, '"' | '=' | '\\')
        })
}

impl Visit for Pairs {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            "log.target" => self.target = Some(value.to_owned()),
            // Where in a library's source an event came from helps nobody who reads our log.
            name if name.starts_with("log.") => {}
            name => self.text(name, value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_str(field, &value.to_string());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for NaN and infinities.
        if value.is_finite() { self.plain(field, value) } else { self.record_str(field, &value.to_string()) }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `events` write, without the time.
    fn logged(format: LogFormat, level: Level, events: impl FnOnce()) -> Vec<String> {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber =
            tracing_subscriber::registry().with(filter(level)).with(layer(format, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, events);
        let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
        let cut = |line: &str| {
            let from = line.find("level").unwrap();
            let time = &line[..from];
            assert!(time.contains("20") && time.contains('Z') && time.contains('.'), "{time}");
            line[from..].to_owned()
        };
        text.lines().map(cut).collect()
    }

    fn events() {
        let span = tracing::info_span!("run", account = "acme", pages = tracing::field::Empty);
        let _entered = span.enter();
        span.record("pages", 3);
        tracing::warn!(
            call.sid = "4f5f",
            retry = 2_u64,
            slow = true,
            took = 0.5,
            "page failed: \"x\"\nlevel=error"
        );
        tracing::debug!("not at this level");
        tracing::info!(target: "hyper", "chatter of a library");
    }

    #[test]
    fn a_logfmt_line_holds_one_event_whatever_its_text() {
        let lines = logged(LogFormat::Logfmt, Level::INFO, events);
        assert_eq!(
            lines,
            [
                r#"level=warn msg="page failed: \"x\"\nlevel=error" target=telemetry::tests account=acme pages=3 call.sid=4f5f retry=2 slow=true took=0.5"#
            ]
        );
    }

    #[test]
    fn a_json_line_says_the_same_and_can_be_parsed() {
        let lines = logged(LogFormat::Json, Level::INFO, events);
        assert_eq!(lines.len(), 1);
        let value: serde_json::Value = serde_json::from_str(&format!("{{\"{}", lines[0])).unwrap();
        assert_eq!(value["level"], "warn");
        assert_eq!(value["msg"], "page failed: \"x\"\nlevel=error");
        assert_eq!(value["account"], "acme");
        assert_eq!(value["call.sid"], "4f5f");
        assert_eq!(value["retry"], 2);
        assert_eq!(value["took"], 0.5);
    }

    #[test]
    fn escape_codes_and_direction_marks_do_not_reach_the_terminal() {
        for format in [LogFormat::Logfmt, LogFormat::Json] {
            let lines = logged(format, Level::INFO, || {
                tracing::info!(text = "\u{1b}[31mred\u{202e}", none = f64::NAN, empty = "", "m");
            });
            assert!(!lines[0].contains(['\u{1b}', '\u{202e}']), "{lines:?}");
            assert!(lines[0].contains("\\u001b[31mred\\u202e") && lines[0].contains("NaN"), "{lines:?}");
        }
    }

    #[test]
    fn the_level_holds_for_us_and_libraries_only_warn() {
        let lines = logged(LogFormat::Logfmt, Level::DEBUG, || {
            tracing::debug!("ours");
            tracing::trace!("too fine");
            tracing::info!(target: "hyper", "chatter");
            tracing::warn!(target: "rustls", "trouble");
        });
        assert_eq!(
            lines,
            ["level=debug msg=ours target=telemetry::tests", "level=warn msg=trouble target=rustls"]
        );
        assert!(logged(LogFormat::Logfmt, Level::ERROR, || tracing::warn!(target: "rustls", "x")).is_empty());
    }

    #[test]
    fn the_level_changes_while_the_program_runs() {
        let captured = Captured::default();
        let writer = captured.clone();
        let (filter, handle) = reload::Layer::new(filter(Level::INFO));
        let handle = LevelHandle(handle);
        let subscriber = tracing_subscriber::registry()
            .with(filter)
            .with(layer(LogFormat::Logfmt, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("before");
            handle.set(Level::DEBUG);
            tracing::debug!("after");
        });
        let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("before") && text.contains("msg=after"), "{text}");
    }
}
