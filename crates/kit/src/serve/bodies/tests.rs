use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio::time::timeout;

use super::*;

/// Far above what anything here takes, so that a hang is a failure rather than a wait.
const PATIENCE: Duration = Duration::from_secs(20);
const SECOND: Duration = Duration::from_secs(1);
const SHORT: Duration = Duration::from_millis(50);
const MEGABYTE: usize = 1 << 20;

/// What comes of a body after its frames.
enum End {
    Whole,
    Broken,
    /// It says nothing more.
    Stalled,
    /// It goes on with frames of nothing.
    Empty,
}

/// A body whose frames tell how many of them are there at once.
struct Sent {
    frames: usize,
    bytes: usize,
    end: End,
    alive: Arc<AtomicUsize>,
    most: usize,
}

/// The bytes of one frame.
struct Alive(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Alive {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::Relaxed);
    }
}

fn sent(frames: usize, bytes: usize, end: End) -> Sent {
    Sent { frames, bytes, end, alive: Arc::default(), most: 0 }
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.frames == 0 {
            return match self.end {
                End::Whole => Poll::Ready(None),
                End::Broken => Poll::Ready(Some(Err(std::io::Error::other("reset")))),
                End::Stalled => Poll::Pending,
                End::Empty => Poll::Ready(Some(Ok(Frame::data(Bytes::new())))),
            };
        }
        self.frames -= 1;
        self.most = self.most.max(self.alive.fetch_add(1, Ordering::Relaxed) + 1);
        let frame = Alive(vec![b'x'; self.bytes], Arc::clone(&self.alive));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(frame)))))
    }
}

fn limits(all_bytes_max: usize, time_max: Duration) -> BodyLimits {
    BodyLimits {
        bytes_max: MEGABYTE,
        all_bytes_max,
        sender_bytes_max: all_bytes_max,
        time_max,
        awaited_max: 4096,
        awaited_of_sender_max: 1024,
    }
}

fn bodies(all_bytes_max: usize, time_max: Duration) -> Bodies {
    Bodies::new(limits(all_bytes_max, time_max))
}

/// How a read ends: by the length that it has, or why it has none.
async fn read(bodies: &Bodies, body: Sent) -> Result<usize, BodyError> {
    let held = timeout(PATIENCE, bodies.read(Sender::Untold, body))
        .await
        .expect("a body is waited for within its time alone");
    held.map(|held| held.bytes().len())
}

#[tokio::test]
async fn a_body_is_whole_or_there_is_none() {
    let bodies = bodies(64 * MEGABYTE, SHORT);
    let too_long = BodyError::TooLong { bytes_max: MEGABYTE };
    let too_slow = BodyError::TooSlow { limit: SHORT };
    let cases = [
        (sent(0, 0, End::Whole), Ok(0)),
        (sent(3, 5, End::Whole), Ok(15)),
        (sent(16, MEGABYTE / 16, End::Whole), Ok(MEGABYTE)),
        (sent(17, MEGABYTE / 16, End::Whole), Err(too_long)),
        (sent(17, MEGABYTE / 16, End::Stalled), Err(too_long)),
        (sent(3, 5, End::Broken), Err(BodyError::Incomplete)),
        (sent(3, 5, End::Stalled), Err(too_slow)),
        (sent(0, 0, End::Empty), Err(too_slow)),
    ];
    for (at, (body, expected)) in cases.into_iter().enumerate() {
        assert_eq!(read(&bodies, body).await, expected, "case {at}");
    }
}

#[tokio::test]
async fn immunity_28_a_refused_body_is_dropped_as_it_comes_and_not_for_ever() {
    let bodies = bodies(64 * MEGABYTE, SHORT);
    let cases = [
        (sent(16, MEGABYTE, End::Whole), 0),
        (sent(40, MEGABYTE, End::Whole), 40 - 17),
        (sent(3, MEGABYTE, End::Stalled), 0),
        (sent(3, MEGABYTE, End::Empty), 0),
        (sent(3, MEGABYTE, End::Broken), 0),
    ];
    for (at, (mut body, left)) in cases.into_iter().enumerate() {
        timeout(PATIENCE, bodies.discard(&mut body)).await.expect("it is let go");
        assert_eq!((body.frames, body.most), (left, 1), "case {at}");
    }
    let all = bodies.discarded.try_acquire_many(DISCARDED_AT_ONCE_MAX as u32).unwrap();
    let mut body = sent(3, MEGABYTE, End::Stalled);
    bodies.discard(&mut body).await;
    assert_eq!(body.frames, 3, "one more than may be discarded at once is not read at all");
    drop(all);
}

#[tokio::test]
async fn immunity_28_the_bodies_of_all_requests_have_one_limit_which_small_ones_do_not_meet() {
    let bodies = bodies(MEGABYTE, SHORT);
    let large = || sent(16, MEGABYTE / 16, End::Whole);
    let first = bodies.read(Sender::Untold, large()).await.unwrap();
    assert_eq!(read(&bodies, large()).await, Err(BodyError::NoRoom));
    assert_eq!(read(&bodies, sent(1, UNCOUNTED_BYTES, End::Whole)).await, Ok(UNCOUNTED_BYTES));
    // What stalls gives back what it held when its time is over.
    drop(first);
    assert_eq!(
        read(&bodies, sent(15, MEGABYTE / 16, End::Stalled)).await,
        Err(BodyError::TooSlow { limit: SHORT })
    );
    assert_eq!(read(&bodies, large()).await, Ok(MEGABYTE));
    assert_eq!(bodies.waiting.bytes(), 0);
}

#[tokio::test]
async fn immunity_28_a_body_of_single_bytes_holds_no_frame_for_each() {
    let bodies = bodies(MEGABYTE, PATIENCE);
    let mut body = sent(10_000, 1, End::Whole);
    assert_eq!(bodies.read(Sender::Untold, &mut body).await.unwrap().bytes().len(), 10_000);
    assert_eq!(body.most, 1);
}

#[tokio::test]
async fn a_body_of_one_frame_is_handed_on_as_it_came() {
    let bodies = bodies(MEGABYTE, PATIENCE);
    let sent = Bytes::from(vec![b'x'; UNCOUNTED_BYTES]);
    let mut body = http_body_util::Full::new(sent.clone());
    let held = bodies.take(Sender::Known(1), &mut body).await.unwrap();
    let (came, counted) = held.into_parts();
    assert!(came == sent && came.as_ptr() == sent.as_ptr() && counted.is_none());
}

/// A body of which so many bytes come after a while: all, or, where they are more than there may be, nothing behind them.
struct Late(Pin<Box<tokio::time::Sleep>>, usize, bool);

impl http_body::Body for Late {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.2 {
            return if self.1 > MEGABYTE { Poll::Pending } else { Poll::Ready(None) };
        }
        if self.0.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.2 = true;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![0; self.1])))))
    }
}

#[tokio::test]
async fn immunity_28_what_is_read_and_what_is_discarded_of_a_body_have_one_time() {
    let bodies = bodies(64 * MEGABYTE, SECOND);
    let (begun, late) = (Instant::now(), tokio::time::sleep(Duration::from_millis(700)));
    let answer = bodies.read(Sender::Untold, Late(Box::pin(late), 2 * MEGABYTE, false)).await;
    assert_eq!(answer.unwrap_err(), BodyError::TooLong { bytes_max: MEGABYTE });
    assert!(begun.elapsed() < Duration::from_millis(1_500), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn immunity_28_heads_that_stall_give_way_to_a_body_of_another_network() {
    let limits = limits(64 * MEGABYTE, SECOND);
    let bodies = Bodies::new(BodyLimits { awaited_max: 4, awaited_of_sender_max: 1, ..limits });
    let stalled =
        |last: u8| bodies.read(Sender::At(IpAddr::from([192, 0, 2, last])), sent(1, 3, End::Stalled));
    // Four are waited for at most, and one of each network.
    let (first, second, third, fourth, fifth) =
        tokio::join!(stalled(1), stalled(2), stalled(3), stalled(4), stalled(5));
    let too_slow = BodyError::TooSlow { limit: SECOND };
    assert_eq!(first.unwrap_err(), BodyError::Crowded, "it has waited longest");
    for answer in [second, third, fourth, fifth] {
        assert_eq!(answer.unwrap_err(), too_slow);
    }
}

#[tokio::test(start_paused = true)]
async fn immunity_28_heads_that_stall_give_way_to_a_body_of_their_own_network() {
    let limits = limits(64 * MEGABYTE, SECOND);
    let bodies = Bodies::new(BodyLimits { awaited_of_sender_max: 2, ..limits });
    let from = |bytes, end| bodies.read(Sender::At(IpAddr::from([192, 0, 2, 1])), sent(1, bytes, end));
    // Behind a load balancer one address speaks for many.
    let late = async {
        let late = Late(Box::pin(tokio::time::sleep(SHORT)), 3, false);
        bodies.read(Sender::At(IpAddr::from([192, 0, 2, 1])), late).await
    };
    let (first, second, late) = tokio::join!(from(3, End::Stalled), from(3, End::Stalled), late);
    assert_eq!(late.unwrap().bytes().len(), 3);
    assert_eq!(first.unwrap_err(), BodyError::Crowded, "it has waited longest");
    assert_eq!(second.unwrap_err(), BodyError::TooSlow { limit: SECOND });
}

#[tokio::test(start_paused = true)]
async fn immunity_28_large_bodies_that_stall_give_way_to_others_whosever_they_are() {
    for other in [1, 2] {
        let bodies = bodies(2 * MEGABYTE, SECOND);
        let from = |last: u8, frames, end| {
            let address = IpAddr::from([192, 0, 2, last]);
            bodies.read(Sender::At(address), sent(frames, MEGABYTE / 16, end))
        };
        let stalled = || from(1, 16, End::Stalled);
        let whole = async {
            // The others are there first.
            tokio::task::yield_now().await;
            from(other, 16, End::Whole).await
        };
        let (first, second, small, whole) =
            tokio::join!(stalled(), stalled(), from(2, 0, End::Stalled), whole);
        assert_eq!(whole.unwrap().bytes().len(), MEGABYTE, "of {other}");
        assert_eq!(first.unwrap_err(), BodyError::Crowded, "it has waited longest");
        for answer in [second, small] {
            assert_eq!(answer.unwrap_err(), BodyError::TooSlow { limit: SECOND });
        }
        assert_eq!(bodies.waiting.bytes(), 0, "what is let go is given back once");
    }
}
