//! The client's end of such a stream.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use foldhash::fast::RandomState;
use http::{HeaderMap, Response, StatusCode, Version, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use metrics::Counter;
use tokio::sync::oneshot;

use super::wire::{self, Answer, Call, Messages, USUAL_OF_ANSWERS};
use super::{ANSWER_BYTES_MAX, CALLS_MAX, FIELDS_MAX, WAITING_BYTES_MAX};
use crate::telemetry::names;

/// What carries calls over one stream.
pub(crate) struct Carrier {
    state: Mutex<State>,
    carried: Counter,
    written: Counter,
}

#[derive(Default)]
struct State {
    /// What is to be written.
    queue: BytesMut,
    /// Of whoever writes, where there was nothing to write.
    writer: Option<Waker>,
    /// The number of the next call.
    next: u64,
    /// Calls of lower numbers are written, or are being: they may arrive.
    written_below: u64,
    /// Who waits for which answer.
    waiting: HashMap<u64, oneshot::Sender<Ended>, RandomState>,
    /// Calls that nobody waits for any more, which is to be written.
    cancelled: Vec<u64>,
    /// Whether calls are taken: once the other end has said that it takes them, until it says that it ends.
    is_open: bool,
    /// Whether no call is written any more; that those which were are given up may be yet.
    is_over: bool,
}

impl State {
    /// Whoever writes, where it may have to look again because nothing is waited for any more.
    fn writer_at_end(&mut self) -> Option<Waker> {
        if self.is_over && self.waiting.is_empty() { self.writer.take() } else { None }
    }
}

/// What a call came to; nothing where the stream broke with it.
enum Ended {
    /// The answer, or that the call was not taken.
    Answered(Answer),
    /// It was never written.
    Unwritten,
}

/// Why a call has no answer.
pub(crate) enum Unanswered {
    /// It has met no service: it may be sent by itself.
    NotTaken,
    /// It may have met one, and there is no answer.
    Broke,
}

impl Carrier {
    /// One that takes nothing yet, and what it writes.
    pub(crate) fn new() -> (Arc<Self>, Outbox) {
        let carrier = Arc::new(Self {
            state: Mutex::default(),
            carried: metrics::counter!(names::GRPC_TOGETHER_CALLS_TOTAL),
            written: metrics::counter!(names::GRPC_TOGETHER_WRITES_TOTAL),
        });
        (Arc::clone(&carrier), Outbox { carrier, has_let_others: false })
    }

    /// Whether an answer to the request that opens the stream says that it is open. An older server does not know the method, and
    /// says so by a status in the head.
    pub(crate) fn is_welcome<B>(answer: &Response<B>) -> bool {
        let media_type = answer.headers().get(header::CONTENT_TYPE);
        answer.status() == StatusCode::OK
            && media_type.is_some_and(|media_type| media_type.as_bytes().starts_with(b"application/grpc"))
            && !answer.headers().contains_key("grpc-status")
    }

    /// Takes calls from now on.
    pub(crate) fn open(&self) {
        let mut state = self.state();
        state.is_open = !state.is_over;
    }

    /// Whether it takes calls.
    pub(crate) fn is_open(&self) -> bool {
        self.state().is_open
    }

    /// Takes a call; none where it has to go another way: too large, too many, or the stream is not open.
    pub(crate) fn take(self: &Arc<Self>, path: &str, headers: &HeaderMap, body: &Bytes) -> Option<Carried> {
        if headers.len() > FIELDS_MAX {
            return None;
        }
        // Before the lock, for nobody has to wait for that.
        let call = wire::unnumbered(path, headers, body)?;
        let (answer, answered) = oneshot::channel();
        let mut state = self.state();
        if !state.is_open || state.waiting.len() >= CALLS_MAX || state.queue.len() > WAITING_BYTES_MAX {
            return None;
        }
        let number = state.next;
        state.next += 1;
        wire::put_call(&mut state.queue, number, &call);
        state.waiting.insert(number, answer);
        let writer = state.writer.take();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
        self.carried.increment(1);
        Some(Carried { carrier: Arc::clone(self), number, answered, has_ended: false })
    }

    /// Nobody waits for a call any more.
    fn cancel(&self, number: u64) {
        let mut state = self.state();
        if state.waiting.remove(&number).is_some() {
            // Also while the stream ends: the other end would work on it for nobody, and wait for that.
            state.cancelled.push(number);
            let writer = state.writer.take();
            drop(state);
            writer.into_iter().for_each(Waker::wake);
        }
    }

    fn answered(&self, answer: Answer) {
        if answer.ending {
            return self.end();
        }
        let mut state = self.state();
        let waiting = state.waiting.remove(&answer.number);
        let writer = state.writer_at_end();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
        if let Some(waiting) = waiting {
            // Whoever waited may just have gone.
            let _ = waiting.send(Ended::Answered(answer));
        }
    }

    /// Takes and writes no more calls. What was not written goes another way; what was is waited for yet.
    fn end(&self) {
        let mut state = self.state();
        (state.is_open, state.is_over) = (false, true);
        state.queue.clear();
        let written_below = state.written_below;
        state.cancelled.retain(|number| *number < written_below);
        let unwritten: Vec<_> = state
            .waiting
            .extract_if(|number, _| *number >= written_below)
            .map(|(_, waiting)| waiting)
            .collect();
        let writer = state.writer.take();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
        for waiting in unwritten {
            let _ = waiting.send(Ended::Unwritten);
        }
    }

    /// The same, and nothing is waited for.
    fn break_off(&self) {
        self.end();
        let mut state = self.state();
        state.cancelled.clear();
        let waiting = std::mem::take(&mut state.waiting);
        let writer = state.writer_at_end();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
        // After the lock: they are told by it.
        drop(waiting);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends what goes over a stream with whoever reads it.
pub(crate) struct Reading(Arc<Carrier>);

impl Reading {
    /// From here on, calls that have no answer when this is dropped have none.
    pub(crate) fn of(carrier: Arc<Carrier>) -> Self {
        Self(carrier)
    }

    /// Hands out answers until the stream ends or breaks.
    pub(crate) async fn read(self, mut answers: Incoming) {
        let mut messages = Messages::new(ANSWER_BYTES_MAX);
        while let Some(frame) = answers.frame().await {
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => return tracing::debug!(%error, "a stream of calls broke"),
            };
            let Ok(piece) = frame.into_data() else { continue };
            messages.push(&piece);
            loop {
                match messages.next_message() {
                    Ok(Some(answer)) => self.0.answered(answer),
                    Ok(None) => break,
                    Err(error) => return tracing::warn!(%error, "a stream of calls cannot be read"),
                }
            }
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.break_off();
    }
}

/// A call on its way. Dropped before there is an answer, it is cancelled at the other end too.
pub(crate) struct Carried {
    carrier: Arc<Carrier>,
    number: u64,
    answered: oneshot::Receiver<Ended>,
    has_ended: bool,
}

impl Carried {
    /// Waits for what comes of it.
    pub(crate) async fn outcome(mut self) -> Result<Response<Told>, Unanswered> {
        let ended = (&mut self.answered).await;
        self.has_ended = true;
        match ended {
            Ok(Ended::Unwritten) => Err(Unanswered::NotTaken),
            Ok(Ended::Answered(answer)) if answer.alone => Err(Unanswered::NotTaken),
            // One that is no answer is of somebody who has had the call.
            Ok(Ended::Answered(answer)) => response(answer).ok_or(Unanswered::Broke),
            Err(_) => Err(Unanswered::Broke),
        }
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        if !self.has_ended {
            self.carrier.cancel(self.number);
        }
    }
}

fn response(answer: Answer) -> Option<Response<Told>> {
    let Answer { status, headers, body, trailers, .. } = answer;
    let trailers = match trailers.is_empty() {
        true => None,
        false => Some(wire::headers(trailers, &[])?),
    };
    let data = Some(body).filter(|body| !body.is_empty());
    let mut response = Response::new(Told { data, trailers });
    *response.status_mut() =
        u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok())?;
    *response.version_mut() = Version::HTTP_2;
    *response.headers_mut() = wire::headers(headers, &USUAL_OF_ANSWERS)?;
    Some(response)
}

/// The body of an answer that has come whole.
#[derive(Debug)]
pub struct Told {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Told {
    /// One without a message.
    pub(crate) fn nothing() -> Self {
        Self { data: None, trailers: None }
    }
}

impl Body for Told {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let told = self.get_mut();
        let data = told.data.take().map(Frame::data);
        Poll::Ready(data.or_else(|| told.trailers.take().map(Frame::trailers)).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}

/// What is written: the body of the request that opens the stream.
pub(crate) struct Outbox {
    carrier: Arc<Carrier>,
    /// Whether others had their turn since there is something to write.
    has_let_others: bool,
}

impl Body for Outbox {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let outbox = self.get_mut();
        let mut state = outbox.carrier.state();
        if state.queue.is_empty() && state.cancelled.is_empty() {
            // What is waited for yet may be given up yet.
            if state.is_over && state.waiting.is_empty() {
                return Poll::Ready(None);
            }
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        // Whoever wakes this task would see it run before all that is ready to run. A task that wakes itself comes after those, and
        // finds what they have to send as well. That wakes a thread where others sleep, so that a call for itself goes without.
        if state.waiting.len() > 1 && !std::mem::replace(&mut outbox.has_let_others, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        outbox.has_let_others = false;
        state.written_below = state.next;
        // Behind their calls, which may be in this very piece.
        for number in std::mem::take(&mut state.cancelled) {
            wire::put(&mut state.queue, &Call { number, is_cancelled: true, ..Call::default() });
        }
        let piece = state.queue.split().freeze();
        drop(state);
        outbox.carrier.written.increment(1);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}
