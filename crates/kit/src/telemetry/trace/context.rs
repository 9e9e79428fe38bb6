//! Which trace a request belongs to: W3C's `traceparent` and `tracestate`, read and written.

use std::num::NonZeroU128;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};

use super::is_on;
use crate::serve::Peer;
use crate::tls::PeerIdentity;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// What W3C's rule grants a `tracestate` at least, and this program at most.
const TRACESTATE_BYTES_MAX: usize = 512;

/// How far the word of a caller counts.
struct Weighing {
    sample_ratio: f64,
    budget: Mutex<Budget>,
}

static WEIGHING: OnceLock<Weighing> = OnceLock::new();

/// Once, before the first request.
pub(super) fn configure(sample_ratio: f64, honoured_per_second_max: u32) {
    let budget = Mutex::new(Budget::new(honoured_per_second_max));
    // Set already where a test made a second one.
    let _ = WEIGHING.set(Weighing { sample_ratio, budget });
}

/// So many a second: what is not used is not saved up.
struct Budget {
    per_second: u32,
    left: f64,
    at: Option<Instant>,
}

impl Budget {
    fn new(per_second: u32) -> Self {
        Self { per_second, left: f64::from(per_second), at: None }
    }

    fn take(&mut self, now: Instant) -> bool {
        let passed = self.at.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.at = Some(now);
        let most = f64::from(self.per_second);
        self.left = passed.mul_add(most, self.left).min(most);
        let is_left = self.left >= 1.0;
        if is_left {
            self.left -= 1.0;
        }
        is_left
    }
}

impl Weighing {
    /// Whether the trace of a caller from outside is recorded. The trace's id is theirs, so chance is of our own making.
    fn records(&self, asked: bool) -> bool {
        let budget = || {
            let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
            budget.take(Instant::now())
        };
        if asked && budget() {
            return true;
        }
        let random = u64::from_be_bytes(RandomIdGenerator::default().new_span_id().to_bytes());
        (random as f64) < self.sample_ratio * (u64::MAX as f64)
    }
}

/// The context in which a request that came in is worked on; none where it has no trace. A service of the hub says so of its
/// own calls: those without a context are its housekeeping. All others' requests have one, and may name it.
pub(super) fn incoming(headers: &HeaderMap, peer: Option<&Peer>) -> Option<Context> {
    let said = read(headers);
    let is_service =
        peer.is_some_and(|peer| matches!(peer.identity.as_deref(), Some(PeerIdentity::Service { .. })));
    if is_service {
        return said.map(|said| Context::new().with_remote_span_context(said));
    }
    let (Some(said), Some(weighing)) = (said, WEIGHING.get()) else { return Some(Context::new()) };
    let flags = said.trace_flags().with_sampled(weighing.records(said.is_sampled()));
    let weighed = SpanContext::new(said.trace_id(), said.span_id(), flags, true, said.trace_state().clone());
    Some(Context::new().with_remote_span_context(weighed))
}

/// What the headers say, if they say it once and in W3C's form (Trace Context, section 3.2).
fn read(headers: &HeaderMap) -> Option<SpanContext> {
    let mut said = headers.get_all(TRACEPARENT).iter();
    let (Some(parent), None) = (said.next(), said.next()) else { return None };
    let (trace, span, flags) = parse(parent.to_str().ok()?)?;
    let state = headers.get(TRACESTATE).and_then(|value| value.to_str().ok());
    let state = state.filter(|state| state.len() <= TRACESTATE_BYTES_MAX);
    let state = state.and_then(|state| state.parse().ok()).unwrap_or_default();
    Some(SpanContext::new(trace, span, flags, true, state))
}

/// `<version>-<trace>-<span>-<flags>` in lower-case hex. A later version may have more behind.
fn parse(text: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    const VERSION_THAT_IS_NONE: u8 = 0xff;
    let mut parts = text.splitn(5, '-');
    let mut number = |digits: usize| {
        let part = parts.next().filter(|part| part.len() == digits)?;
        let is_lower_hex = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        u128::from_str_radix(part, 16).ok().filter(|_| is_lower_hex)
    };
    let version = u8::try_from(number(2)?).ok()?;
    let (trace, span) = (number(32)?, u64::try_from(number(16)?).ok()?);
    let flags = u8::try_from(number(2)?).ok()?;
    let may_go_on = version != 0 || parts.next().is_none();
    let is_said = version != VERSION_THAT_IS_NONE && trace != 0 && span != 0 && may_go_on;
    // Of the flags this program knows one.
    is_said.then(|| (trace.into(), span.into(), TraceFlags::new(flags) & TraceFlags::SAMPLED))
}

/// Whether what is worked on now is part of a trace that is recorded.
pub(super) fn is_recorded() -> bool {
    is_on() && Context::map_current(|context| context.span().span_context().is_sampled())
}

/// Gives the span of what is worked on now another name: of some requests it comes to light what they ask when they have been read.
/// (The subscriber's layer knows names when spans begin, and not later.)
pub(super) fn rename(name: String) {
    Context::map_current(|context| context.span().update_name(name));
}

/// Puts the context of what is worked on now on a request to another service.
pub fn inject(headers: &mut HeaderMap) {
    if !is_on() {
        return;
    }
    let current = Context::map_current(|context| context.span().span_context().clone());
    write(&current, headers);
}

fn write(context: &SpanContext, headers: &mut HeaderMap) {
    // What a caller said goes no further than this.
    headers.remove(TRACEPARENT);
    headers.remove(TRACESTATE);
    if !context.is_valid() {
        return;
    }
    let (trace, span) = (context.trace_id(), context.span_id());
    let sampled = u8::from(context.is_sampled());
    // Digits and dashes are always a header's value.
    if let Ok(value) = HeaderValue::from_str(&format!("00-{trace}-{span}-{sampled:02x}")) {
        headers.insert(TRACEPARENT, value);
    }
    let state = context.trace_state().header();
    if let Ok(value) = HeaderValue::from_str(&state)
        && !state.is_empty()
    {
        headers.insert(TRACESTATE, value);
    }
}

/// The ids of what is worked on now, for a line of the log.
pub(crate) fn ids() -> Option<(TraceId, SpanId)> {
    if !is_on() {
        return None;
    }
    Context::map_current(|context| {
        let span = context.span();
        let context = span.span_context();
        context.is_valid().then(|| (context.trace_id(), context.span_id()))
    })
}

/// The number of the trace that is worked on now, for what is kept of a request: the same as the log's lines have.
#[must_use]
pub fn id() -> Option<NonZeroU128> {
    ids().and_then(|(trace, _)| NonZeroU128::new(u128::from_be_bytes(trace.to_bytes())))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn parent(value: &str) -> Option<SpanContext> {
        read(&headers(&[("traceparent", value)]))
    }

    #[test]
    fn a_traceparent_is_of_its_form_and_said_once_or_counts_for_nothing() {
        let good = format!("00-{TRACE}-00f067aa0ba902b7-01");
        assert!(parent(&good).unwrap().is_sampled());
        assert!(!parent(&format!("00-{TRACE}-00f067aa0ba902b7-00")).unwrap().is_sampled());
        for bad in [
            "",
            "00",
            TRACE,
            &format!("00-{TRACE}-00f067aa0ba902b7"),
            &format!("00-{TRACE}-00f067aa0ba902b7-1"),
            &format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            &format!("00-{TRACE}-0000000000000000-01"),
            &format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            &format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            &format!("00-{TRACE}-00f067aa0ba902b7-01-and-more"),
            &format!("00-{TRACE}-00f067aa0ba902b7-01 "),
            &format!("01-{TRACE}-00f067aa0ba902b7-01and-more"),
            &format!("00-+{}-00f067aa0ba902b7-01", &TRACE[1..]),
        ] {
            assert_eq!(parent(bad), None, "{bad}");
        }
        assert_eq!(read(&headers(&[("traceparent", &good), ("traceparent", &good)])), None);
        let later = format!("cc-{TRACE}-00f067aa0ba902b7-03-what-comes-then");
        assert!(parent(&later).unwrap().is_sampled());
    }

    #[test]
    fn a_state_goes_along_unless_it_is_too_long() {
        let good = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let state = |value: &str| {
            let read = read(&headers(&[("traceparent", &good), ("tracestate", value)])).unwrap();
            let mut written = HeaderMap::new();
            write(&read, &mut written);
            assert_eq!(written["traceparent"], good);
            written.get("tracestate").map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(state("vendor=1,other=two"), Some("vendor=1,other=two".to_owned()));
        assert_eq!(state(&format!("vendor={}", "x".repeat(600))), None);
        assert_eq!(state(""), None);
    }

    #[test]
    fn what_is_written_replaces_what_was_there() {
        let mut written = headers(&[("traceparent", "a stranger's"), ("tracestate", "a=b")]);
        write(&SpanContext::empty_context(), &mut written);
        assert!(written.is_empty());
    }

    #[test]
    fn who_asks_for_records_gets_so_many_a_second_and_saves_none_up() {
        let (mut budget, start) = (Budget::new(3), Instant::now());
        let mut taken = |milliseconds| {
            (0..10).filter(|_| budget.take(start + Duration::from_millis(milliseconds))).count()
        };
        assert_eq!([0, 0, 1000, 60_000, 60_334].map(&mut taken), [3, 0, 3, 3, 1]);
        assert!(!Budget::new(0).take(start));
    }

    #[test]
    fn a_caller_cannot_have_more_recorded_than_is_granted_whatever_ids_they_choose() {
        let weighing = |ratio| Weighing { sample_ratio: ratio, budget: Mutex::new(Budget::new(5)) };
        let (never, always) = (weighing(0.0), weighing(1.0));
        let recorded = (0..1000).filter(|_| never.records(true)).count();
        // A thousand take less than a second; the sixth falls due after a fifth of one.
        assert!((5..=9).contains(&recorded), "{recorded}");
        assert!((0..100).all(|_| !never.records(false) && always.records(false)));
        let tenth = weighing(0.1);
        let recorded = (0..10_000).filter(|_| tenth.records(false)).count();
        assert!((700..1300).contains(&recorded), "{recorded}");
    }

    fn peer(identity: Option<PeerIdentity>) -> Peer {
        let identity = identity.map(std::sync::Arc::new);
        Peer { address: "127.0.0.1:1".parse().unwrap(), identity, certificate_sha256: None }
    }

    /// A service that calls without a context does its own housekeeping, and begins no trace.
    #[test]
    fn a_services_word_counts_and_a_strangers_only_for_the_traces_id() {
        configure(0.0, 0);
        let service = peer(Some(PeerIdentity::service("hub-1", "gateway").unwrap()));
        let spoke = peer(Some(PeerIdentity::spoke("hub-1", "cluster-1").unwrap()));
        let nobody = peer(None);
        let sampled = headers(&[("traceparent", &format!("00-{TRACE}-00f067aa0ba902b7-01"))]);
        let come = |headers: &HeaderMap, peer: Option<&Peer>| {
            incoming(headers, peer).map(|context| context.span().span_context().clone())
        };
        for (who, is_recorded) in
            [(Some(&service), true), (Some(&spoke), false), (Some(&nobody), false), (None, false)]
        {
            let said = come(&sampled, who).unwrap();
            assert_eq!((said.trace_id().to_string(), said.is_sampled()), (TRACE.to_owned(), is_recorded));
        }
        let silent = HeaderMap::new();
        assert_eq!(come(&silent, Some(&service)), None);
        for who in [Some(&spoke), Some(&nobody), None] {
            assert!(!come(&silent, who).unwrap().is_valid(), "a trace of its own");
        }
    }

    proptest! {
        #[test]
        fn whatever_headers_say_is_read_without_a_fault_and_what_is_read_can_be_written(
            said in "[ -~]{0,80}", state in "[ -~]{0,600}",
        ) {
            let pairs = [("traceparent", said.as_str()), ("tracestate", state.as_str())];
            if let Some(context) = read(&headers(&pairs)) {
                let mut written = HeaderMap::new();
                write(&context, &mut written);
                prop_assert_eq!(read(&written).unwrap().trace_id(), context.trace_id());
            }
        }

        #[test]
        fn a_context_is_read_as_it_was_written(trace in 1u128.., span in 1u64.., sampled: bool) {
            let flags = TraceFlags::default().with_sampled(sampled);
            let made = SpanContext::new(trace.into(), span.into(), flags, false, Default::default());
            let mut written = HeaderMap::new();
            write(&made, &mut written);
            let read = read(&written).unwrap();
            prop_assert_eq!(
                (read.trace_id(), read.span_id(), read.is_sampled()),
                (made.trace_id(), made.span_id(), sampled)
            );
        }
    }
}
