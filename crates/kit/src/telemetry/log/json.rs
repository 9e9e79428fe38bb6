//! A line of the log as one JSON object.

use std::fmt;

use opentelemetry::trace::{SpanId, TraceId};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::super::names::{
    DECISION_ID, LOG_DECISION_ID, LOG_REQUEST_ID, LOG_SPAN_ID, LOG_TRACE_ID, REQUEST_ID,
};
use super::super::request_id::{self, RequestId};
use super::super::trace;

/// What a line has by itself. A field of such a name is put under `field.`, so that nothing is said twice.
const OWN: [&str; 7] =
    ["timestamp", "level", "target", LOG_TRACE_ID, LOG_SPAN_ID, LOG_REQUEST_ID, LOG_DECISION_ID];

/// How `tracing` calls the text of an event.
const MESSAGE: &str = "message";

/// Formats events as lines: time, level, target, message, ids, and the other fields.
pub(super) struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let object = Object {
            at: OffsetDateTime::now_utc(),
            level: event.metadata().level().as_str(),
            target: event.metadata().target(),
            ids: trace::ids(),
            request: request_id::current(),
            fields,
        };
        let line = serde_json::to_string(&object).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

struct Object<'a> {
    at: OffsetDateTime,
    level: &'a str,
    target: &'a str,
    ids: Option<(TraceId, SpanId)>,
    request: Option<RequestId>,
    fields: Fields,
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        // Every moment after the year 0 has this form.
        map.serialize_entry("timestamp", &self.at.format(&Rfc3339).unwrap_or_default())?;
        map.serialize_entry("level", self.level)?;
        map.serialize_entry("target", self.target)?;
        let message = self.fields.0.iter().find(|(name, _)| *name == MESSAGE).map(|(_, value)| value);
        // Some libraries say all in fields.
        map.serialize_entry(MESSAGE, message.unwrap_or(&Value::String(String::new())))?;
        if let Some((trace, span)) = self.ids {
            map.serialize_entry(LOG_TRACE_ID, &trace.to_string())?;
            map.serialize_entry(LOG_SPAN_ID, &span.to_string())?;
        }
        // Who says it by themselves says it for the log as text, which has it nowhere else.
        let is_said = self.fields.0.iter().any(|(name, _)| *name == REQUEST_ID);
        if let Some(request) = self.request.filter(|_| !is_said) {
            map.serialize_entry(LOG_REQUEST_ID, &request.to_string())?;
        }
        for (name, value) in &self.fields.0 {
            match *name {
                MESSAGE => {}
                REQUEST_ID => map.serialize_entry(LOG_REQUEST_ID, value)?,
                DECISION_ID => map.serialize_entry(LOG_DECISION_ID, value)?,
                name if OWN.contains(&name) => map.serialize_entry(&format!("field.{name}"), value)?,
                name => map.serialize_entry(name, value)?,
            }
        }
        map.end()
    }
}

#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.push((field.name(), value.into()));
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::{fmt as layers, registry};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(work: impl FnOnce()) -> Vec<Value> {
        let written = Written::default();
        let to = written.clone();
        let layer = layers::layer().with_writer(move || to.clone()).event_format(Line);
        tracing::subscriber::with_default(registry().with(layer), work);
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_is_one_object_with_time_level_target_message_and_its_fields() {
        let lines = lines(|| {
            tracing::warn!(target: "lanyard_x", count = 3, share = 0.5, done = true, who = "a\n\"b\"", "it is so");
            tracing::info!({ DECISION_ID } = %"4f", level = "mine", trace_id = "made up", "decided");
            tracing::info!(count = 3);
        });
        let [first, second, third] = lines.as_slice() else { panic!("{lines:?}") };
        let at = first["timestamp"].as_str().unwrap();
        assert!(OffsetDateTime::parse(at, &Rfc3339).is_ok(), "{at}");
        let mut rest = first.clone();
        rest.as_object_mut().unwrap().remove("timestamp");
        assert_eq!(
            rest,
            serde_json::json!({
                "level": "WARN", "target": "lanyard_x", "message": "it is so",
                "count": 3, "share": 0.5, "done": true, "who": "a\n\"b\"",
            })
        );
        assert_eq!(second["decision_id"], "4f");
        assert_eq!(
            (&second["level"], &second["field.level"], &second["field.trace_id"]),
            (&"INFO".into(), &"mine".into(), &"made up".into())
        );
        assert!(second.get("trace_id").is_none(), "{second}");
        assert_eq!(third["message"], "", "{third}");
    }

    #[test]
    fn a_line_within_a_request_has_its_number_once() {
        let id = RequestId::new(uuid::Uuid::from_u128(7));
        let within = |work: fn()| futures::executor::block_on(request_id::within(Some(id), async { work() }));
        let lines = lines(|| {
            within(|| tracing::info!("by itself"));
            within(|| tracing::info!({ REQUEST_ID } = "said", request_id = "made up", "by name"));
            tracing::info!("outside");
        });
        let said: Vec<_> = lines.iter().map(|line| line.get("request_id").cloned()).collect();
        assert_eq!(said, [Some(id.to_string().into()), Some("said".into()), None]);
        assert_eq!(lines[1]["field.request_id"], "made up");
    }
}
