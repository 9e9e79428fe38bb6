//! Bodies of callers who have shown who they are, and may be nobody all the same: a certificate of this hub runs on when its cluster or its
//! principal is gone, and an API server is a tenant's. So that none of them fills the memory, nor takes the room of another.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use lanyard_kit::{
    serve::{Bodies, BodyLimits, Sender},
    tls::PeerIdentity,
};

use crate::{config::GatewayConfig, directory::Spoke, door::FRAME_BYTES};

/// One caller has this part of the room at most.
pub(crate) const PARTS: usize = 4;

/// What is read of them, a kind in nobody's way of another.
pub(crate) struct Known {
    /// Reviews of API servers.
    pub(crate) reviews: Bodies,
    /// Messages of management calls on connections with a certificate.
    pub(crate) messages: Bodies,
}

impl Known {
    pub(crate) fn new(config: &GatewayConfig) -> Self {
        let awaited_max = config.bodies.known_awaited_max;
        let limits = |bytes_max, all_bytes_max: usize, time_max| BodyLimits {
            bytes_max,
            all_bytes_max,
            sender_bytes_max: all_bytes_max / PARTS,
            time_max,
            awaited_max,
            // Whoever has most gives way.
            awaited_of_sender_max: awaited_max,
        };
        let all = &config.bodies;
        let message_bytes_max = config.message_bytes_max.saturating_add(FRAME_BYTES);
        Self {
            reviews: Bodies::new(limits(
                config.review_bytes_max,
                all.reviews_bytes_max,
                config.review_timeout(),
            )),
            messages: Bodies::new(limits(
                message_bytes_max,
                all.known_messages_bytes_max,
                all.message_timeout(),
            )),
        }
    }
}

/// A cluster's API server.
pub(crate) fn api_server(spoke: &Spoke) -> Sender {
    Sender::Known(spoke.cluster.uid.0.as_u128())
}

/// Whom a certificate names.
pub(crate) fn bearer(identity: &PeerIdentity) -> Sender {
    // The hub chooses their ids: nobody makes two that are one here.
    let mut hasher = DefaultHasher::new();
    identity.hash(&mut hasher);
    Sender::Known(hasher.finish().into())
}
