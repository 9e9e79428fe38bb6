//! Bodies of requests whose senders are not known before these are read: how much of them there may be, and how long each may take.

use bytes::Bytes;
use lanyard_kit::{
    serve::{Bodies, BodyError, BodyLimits, Held, Sender},
    telemetry::names,
};
use tower::BoxError;

use crate::{config::GatewayConfig, door::FRAME_BYTES};

/// Longest review of oneself, in bytes: names, selectors, a path.
const SELF_REVIEW_BYTES_MAX: usize = 64 << 10;
/// Longest message of a call that needs no signature, in bytes: a token of 20 000 characters, a session policy and some names.
pub(crate) const UNSIGNED_BYTES_MAX: usize = 32 << 10;

/// What is read of strangers, a kind in nobody's way of another.
pub(crate) struct Strangers {
    /// Reviews of oneself; and whatever the HTTP door refuses by its head, to be dropped as it comes.
    pub(crate) reviews: Bodies,
    /// Messages of management calls on connections without a certificate.
    pub(crate) messages: Bodies,
    /// Messages that need no signature.
    pub(crate) unsigned: Bodies,
}

impl Strangers {
    pub(crate) fn new(config: &GatewayConfig) -> Self {
        let all = &config.bodies;
        let short = |bytes_max, time_max| BodyLimits {
            bytes_max,
            all_bytes_max: all.short_bytes_max,
            sender_bytes_max: usize::MAX,
            time_max,
            awaited_max: all.awaited_max,
            awaited_of_sender_max: all.awaited_per_network_max,
        };
        let message_bytes_max = config.message_bytes_max.saturating_add(FRAME_BYTES);
        let unsigned_bytes_max = UNSIGNED_BYTES_MAX.saturating_add(FRAME_BYTES);
        Self {
            reviews: Bodies::new(short(SELF_REVIEW_BYTES_MAX, config.review_timeout())),
            messages: Bodies::new(BodyLimits {
                all_bytes_max: all.messages_bytes_max,
                ..short(message_bytes_max, all.message_timeout())
            }),
            unsigned: Bodies::new(short(unsigned_bytes_max, all.unsigned_timeout())),
        }
    }
}

/// The whole body of a request of this sender. That there was no room for it is counted.
pub(crate) async fn read<B>(bodies: &Bodies, sender: Sender, body: B) -> Result<Held<'_>, BodyError>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin,
{
    let read = bodies.read(sender, body).await;
    if let Err(error) = read {
        count_shed(error);
    }
    read
}

/// Counts a body for which there was no room.
pub(crate) fn count_shed(error: BodyError) {
    if matches!(error, BodyError::NoRoom | BodyError::Crowded) {
        metrics::counter!(names::GATEWAY_SHED_TOTAL).increment(1);
    }
}
