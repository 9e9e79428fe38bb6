//! Bodies of requests: how long one may take to come, and how much of them is held, of all requests together.
//!
//! A stranger can send them too, and whoever is known by a certificate may have been put out since: a body that nobody wants is counted
//! and dropped as it comes.

mod waiting;

use std::{net::IpAddr, pin::pin, task::Poll, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::{
    sync::Semaphore,
    task::coop::consume_budget,
    time::{Instant, timeout_at},
};
use tower::BoxError;

use super::BodyError;
use crate::within;
pub use waiting::Counted;
use waiting::{Place, Waiting};

/// What of each body does not count among the bytes of all: more than nearly any call has, so that large bodies of strangers are in the
/// way of none. The limit of open requests bounds these.
pub const UNCOUNTED_BYTES: usize = 16 << 10;
/// Most bytes of a refused request that are read before it is answered: a client that is still sending may not see an answer.
const DISCARDED_BYTES_MAX: usize = 16 << 20;
/// Most bodies that are read only to be dropped; of one more nothing is read, and its connection is closed behind the answer.
const DISCARDED_AT_ONCE_MAX: usize = 256;

/// How much there may be of the bodies that one [`Bodies`] reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// Most bytes of one.
    pub bytes_max: usize,
    /// Most bytes of all that are held at once. Of each the first 16 KiB do not count. Where there is no room for more, the sender who
    /// holds most ends the one that has been waited for longest.
    pub all_bytes_max: usize,
    /// Most of these bytes of one sender. One more ends the oldest of their own.
    pub sender_bytes_max: usize,
    /// Within how long one has to be there, from when it is asked for; of one that is refused the rest is discarded within the same.
    pub time_max: Duration,
    /// Most that are waited for at once because they did not come with their heads, or are larger than those 16 KiB. One more ends
    /// the one that has been waited for longest, of the sender who has most.
    pub awaited_max: usize,
    /// Most of these of one sender. One more ends the oldest of their own.
    pub awaited_of_sender_max: usize,
}

/// Who sends a body: on whose account it is waited for and held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sender {
    /// Nobody can tell. All of these are one sender, who may have all places.
    Untold,
    /// A stranger, at this address. Those of one network are one sender: of an IPv4 address, or an IPv6 site.
    At(IpAddr),
    /// Somebody who has shown who they are, by a number that is theirs alone.
    Known(u128),
}

impl From<Option<IpAddr>> for Sender {
    fn from(address: Option<IpAddr>) -> Self {
        address.map_or(Self::Untold, Self::At)
    }
}

/// A body that has come; while it is there, its bytes count.
#[derive(Debug)]
pub struct Held<'a> {
    bytes: Bytes,
    counted: Option<Counted<'a>>,
}

impl<'a> Held<'a> {
    /// What came.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What came, and by what it counts.
    #[must_use]
    pub fn into_parts(self) -> (Bytes, Option<Counted<'a>>) {
        (self.bytes, self.counted)
    }
}

/// The bounds, and what is taken of them.
#[derive(Debug)]
pub struct Bodies {
    bytes_max: usize,
    time_max: Duration,
    waiting: Waiting,
    discarded: Semaphore,
}

impl Bodies {
    /// Nothing of them is taken.
    #[must_use]
    pub fn new(limits: BodyLimits) -> Self {
        Self {
            bytes_max: limits.bytes_max,
            time_max: limits.time_max,
            waiting: Waiting::new(&limits),
            discarded: Semaphore::new(DISCARDED_AT_ONCE_MAX),
        }
    }

    /// The whole body of a request of this sender, within its time, its limit and what is left for all. A short one that is there
    /// already is in nobody's way, and none is in its. Of a body that is refused the rest is discarded, within the same time.
    ///
    /// # Errors
    /// [`BodyError`] says why there is none.
    pub async fn read<R>(&self, sender: Sender, mut body: R) -> Result<Held<'_>, BodyError>
    where
        R: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin,
    {
        let until = Instant::now() + self.time_max;
        let read = self.take(sender, &mut body).await;
        if matches!(read, Err(BodyError::NoRoom | BodyError::Crowded | BodyError::TooLong { .. })) {
            self.discard_until(body, until).await;
        }
        read
    }

    /// The same; the rest of a body that is refused is the caller's to discard.
    ///
    /// # Errors
    /// [`BodyError`] says why there is none.
    pub async fn take<R>(&self, sender: Sender, body: &mut R) -> Result<Held<'_>, BodyError>
    where
        R: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin,
    {
        let read = within(self.time_max, self.collect(sender, body)).await;
        read.unwrap_or(Err(BodyError::TooSlow { limit: self.time_max }))
    }

    async fn collect<R>(&self, sender: Sender, body: &mut R) -> Result<Held<'_>, BodyError>
    where
        R: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin,
    {
        let too_long = BodyError::TooLong { bytes_max: self.bytes_max };
        if body.size_hint().lower() > self.bytes_max as u64 {
            return Err(too_long);
        }
        let (mut read, mut place) = (BytesMut::new(), None);
        while let Some(frame) = self.frame(sender, &mut place, body).await? {
            let Ok(data) = frame.into_data() else { continue };
            let length = read.len() + data.len();
            if length > self.bytes_max {
                return Err(too_long);
            }
            let counted = length.saturating_sub(UNCOUNTED_BYTES);
            if counted > 0 && !place.get_or_insert_with(|| self.waiting.take(sender)).holds(counted) {
                return Err(BodyError::NoRoom);
            }
            if read.is_empty() && body.is_end_stream() {
                return Ok(Held { bytes: data, counted: place.and_then(Place::has_come) });
            }
            // Copied out of its frames: a body of single bytes would else hold a frame for each.
            read.extend_from_slice(&data);
        }
        Ok(Held { bytes: read.freeze(), counted: place.and_then(Place::has_come) })
    }

    /// The next frame, unless the body loses the place that it has once it is waited for.
    async fn frame<'a, R>(
        &'a self,
        sender: Sender,
        place: &mut Option<Place<'a>>,
        body: &mut R,
    ) -> Result<Option<Frame<Bytes>>, BodyError>
    where
        R: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin,
    {
        let mut coming = pin!(next(body));
        if let Poll::Ready(frame) = futures::poll!(coming.as_mut()) {
            return frame;
        }
        let place = place.get_or_insert_with(|| self.waiting.take(sender));
        tokio::select! {
            biased;
            frame = coming.as_mut() => frame,
            () = place.lost() => Err(BodyError::Crowded),
        }
    }

    /// Takes the body of a request that is refused, for as long as a body may take, and drops it as it comes.
    pub async fn discard<R>(&self, body: R)
    where
        R: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin,
    {
        self.discard_until(body, Instant::now() + self.time_max).await;
    }

    async fn discard_until<R>(&self, mut body: R, until: Instant)
    where
        R: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin,
    {
        if body.is_end_stream() {
            return;
        }
        let Ok(_permit) = self.discarded.try_acquire() else { return };
        let all = async {
            let mut left = DISCARDED_BYTES_MAX;
            while let Ok(Some(frame)) = next(&mut body).await {
                let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
                left = rest;
            }
        };
        // What has not come by then is cut off behind the answer.
        let _ = timeout_at(until, all).await;
    }
}

/// The next frame. Frames that come without a pause do not keep the clock from being looked at.
async fn next<R>(body: &mut R) -> Result<Option<Frame<Bytes>>, BodyError>
where
    R: http_body::Body<Data = Bytes> + Unpin,
{
    consume_budget().await;
    body.frame().await.transpose().map_err(|_| BodyError::Incomplete)
}

#[cfg(test)]
mod tests;
