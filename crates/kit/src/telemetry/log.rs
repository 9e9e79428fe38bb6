//! The log, on standard error: standard output belongs to answers.

mod json;

use std::io::IsTerminal;

use opentelemetry_sdk::trace::SdkTracer;
use serde::{Deserialize, Serialize};
use tracing::{Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::filter::{FilterExt as _, ParseError, Targets, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{fmt, registry};

use super::TelemetryError;
use super::names::SPAN_TARGET;

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Levels by module, such as `info,lanyard_authn=debug`.
    pub filter: String,
    /// For people or for machines.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::default() }
    }
}

/// For people or for machines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line of text, coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line, with the ids of trace, span and decision where it belongs to one.
    Json,
}

/// Sets up the log of the process, once, with what makes spans where there are any.
///
/// # Errors
/// [`TelemetryError::Filter`] or [`TelemetryError::LogTwice`].
pub(crate) fn init_log(config: &LogConfig, tracer: Option<SdkTracer>) -> Result<(), TelemetryError> {
    subscriber(config, tracer)?.try_init().map_err(|_| TelemetryError::LogTwice)
}

/// What spans and events go to. It says for which levels nobody is there: libraries make spans of every frame that comes and
/// goes, and where that is left open each of them is made, kept and thrown away again.
fn subscriber(
    config: &LogConfig,
    tracer: Option<SdkTracer>,
) -> Result<impl Subscriber + Send + Sync, TelemetryError> {
    // Spans are for the collector. The log has their ids, and nothing to format of them.
    let no_span = filter_fn(|metadata| !is_span(metadata)).with_max_level_hint(LevelFilter::TRACE);
    let shown = filter(&config.filter)?.and(no_span);
    let lines = match config.format {
        LogFormat::Text => fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_filter(shown)
            .boxed(),
        LogFormat::Json => fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .event_format(json::Line)
            .with_filter(shown)
            .boxed(),
    };
    let spans = tracer.map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_span).with_max_level_hint(SPAN_LEVEL))
            .boxed()
    });
    // A layer that may be none would be interested in everything where it is none.
    let layers: Vec<_> = spans.into_iter().chain([lines]).collect();
    Ok(registry().with(layers))
}

/// Whether it is one of ours, for the collector. What is logged within one stays in the log.
fn is_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target() == SPAN_TARGET
}

/// The level of all of ours.
const SPAN_LEVEL: LevelFilter = LevelFilter::INFO;

/// Libraries that say each time what ours says now and then. Whoever names one in the filter hears it.
const QUIET: &str = "redis=off";

/// By module alone. What `EnvFilter` has beside it, spans and their fields, is of spans that this log has not, and brings a library of
/// regular expressions into each process.
fn filter(text: &str) -> Result<Targets, TelemetryError> {
    let refused = |reason: String| TelemetryError::Filter { filter: text.to_owned(), reason };
    let named = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let parts: Vec<&str> = std::iter::once(QUIET).chain(named).collect();
    // `Targets` reads most of these as names of modules that there are none of, whose lines nobody would ever see.
    if text.contains(['[', ']', '{', '}']) {
        return Err(refused("it names spans or fields, and levels are by module alone".to_owned()));
    }
    // And without a level it means errors alone.
    if parts.iter().any(|part| part.starts_with('=') || part.ends_with('=')) {
        return Err(refused("beside a `=` a module or a level is missing".to_owned()));
    }
    parts.join(",").parse().map_err(|error: ParseError| refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_parsed_whole_or_refused() {
        let cases = [
            ("info", true),
            ("info,lanyard_authn=debug", true),
            ("off", true),
            ("lanyard_kit::serve=trace", true),
            ("info,lanyard=loud", false),
            ("lanyard_kit", true),
            ("INFO,lanyard_kit=Debug", true),
            ("info,[request{method=GET}]=debug", false),
            ("info,[request]=debug", false),
            ("info,[request]", false),
            ("info,lanyard_kit[request]=debug", false),
            ("info,[{peer.address}]=debug", false),
            ("info,[{a,b}]=debug", false),
            ("info,lanyard_kit=", false),
            ("=info", false),
            ("=", false),
            ("=====", false),
        ];
        for (text, valid) in cases {
            assert_eq!(filter(text).is_ok(), valid, "{text}");
        }
    }

    #[test]
    fn what_nobody_hears_of_is_not_made() {
        use opentelemetry::trace::TracerProvider as _;
        use opentelemetry_sdk::trace::SdkTracerProvider;
        use tracing::{Level, debug_span, enabled, info_span, trace_span};
        let tracer = || SdkTracerProvider::builder().build().tracer("tests");
        for (filter, with_spans, hint) in [
            ("info", false, LevelFilter::INFO),
            ("warn", false, LevelFilter::WARN),
            ("off", false, LevelFilter::OFF),
            ("warn", true, LevelFilter::INFO),
            ("info,lanyard_kit=debug", true, LevelFilter::DEBUG),
        ] {
            let config = LogConfig { filter: filter.to_owned(), format: LogFormat::Json };
            let subscriber = subscriber(&config, with_spans.then(tracer)).unwrap();
            assert_eq!(subscriber.max_level_hint(), Some(hint), "{filter}, {with_spans}");
            tracing::subscriber::with_default(subscriber, || {
                let case = format!("{filter}, {with_spans}");
                // As the HTTP/2 library does with each frame.
                assert!(trace_span!(target: "h2", "FramedWrite::buffer").is_disabled(), "{case}");
                assert!(debug_span!(target: "h2", "Connection").is_disabled(), "{case}");
                assert!(
                    info_span!(target: "somebody", "else").is_disabled() || filter.starts_with("info"),
                    "{case}"
                );
                assert_eq!(!info_span!(target: SPAN_TARGET, "ours").is_disabled(), with_spans, "{case}");
                assert_eq!(
                    enabled!(target: "lanyard_kit", Level::DEBUG),
                    hint == LevelFilter::DEBUG,
                    "{case}"
                );
                assert_eq!(enabled!(target: "lanyard_kit", Level::WARN), filter != "off", "{case}");
            });
        }
    }

    #[test]
    fn what_repeats_itself_is_heard_by_those_who_name_it() {
        use tracing::Level;
        for (text, ours, of_redis) in [
            ("", LevelFilter::OFF, LevelFilter::OFF),
            ("info", LevelFilter::INFO, LevelFilter::OFF),
            (" info , redis=warn,", LevelFilter::INFO, LevelFilter::WARN),
        ] {
            let filter = filter(text).unwrap();
            for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
                assert_eq!(filter.would_enable("lanyard_kit", &level), level <= ours, "{text}, {level}");
                assert_eq!(filter.would_enable("redis", &level), level <= of_redis, "{text}, {level}");
            }
        }
    }
}
