//! The client side: the domain traits over anything that sends HTTP/2 requests.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::sync::watch;
use tonic::{
    Request,
    body::Body,
    codegen::{Service, StdError, http},
    metadata::{Ascii, MetadataValue},
};

use super::{
    door::{ACTOR_METADATA, SOURCE_IP_METADATA, SourceIp},
    mutation::Mutating,
};
use crate::{
    fault::{CallError, Fault},
    identity::{Actor, Vouched},
    mapping::ClusterDirectory,
    mutation::Mutation,
};

/// How long a call may take unless [`Remote::with_timeout`] says otherwise.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a call says how long it may take.
const TIMEOUT_METADATA: &str = "grpc-timeout";

/// What sends requests: a `tonic::transport::Channel`, or layers over one.
pub trait Wire:
    Service<http::Request<Body>, Response = http::Response<Body>, Error: Into<StdError> + Send, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<C> Wire for C where
    C: Service<
            http::Request<Body>,
            Response = http::Response<Body>,
            Error: Into<StdError> + Send,
            Future: Send,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

/// A service at the other end of a channel. It implements every domain trait; call those that the other end serves.
#[derive(Debug, Clone)]
pub struct Remote<C> {
    channel: C,
    /// How long a call may take, as each says it.
    timeout: Option<MetadataValue<Ascii>>,
    /// Kept by one task, once somebody asked for it.
    pub(crate) directory: Arc<OnceLock<watch::Receiver<Arc<ClusterDirectory>>>>,
}

impl<C: Wire> Remote<C> {
    /// A service.
    pub fn new(channel: C) -> Self {
        Self { channel, timeout: written(CALL_TIMEOUT), directory: Arc::default() }
    }

    /// With another limit on the time that a call may take.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: written(timeout), ..self }
    }

    pub(crate) fn channel(&self) -> C {
        self.channel.clone()
    }

    /// A request between services.
    pub(crate) fn internal<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        if let Some(timeout) = &self.timeout {
            request.metadata_mut().insert(TIMEOUT_METADATA, timeout.clone());
        }
        request
    }

    /// A request of an actor. The voucher goes over the wire; the actor itself stays in the extensions, for layers of this
    /// process.
    pub(crate) fn actor<M>(&self, by: Vouched<Actor>, message: M) -> Request<M> {
        let mut request = self.internal(message);
        if !by.voucher.is_empty() {
            request.metadata_mut().insert_bin(ACTOR_METADATA, MetadataValue::from_bytes(&by.voucher));
        }
        request.extensions_mut().insert(by);
        request
    }

    /// A request of an actor that is answered for as long as both sides like: a time that it says would end the stream, not the wait for its
    /// beginning alone.
    pub(crate) fn ongoing<M>(&self, by: Vouched<Actor>, message: M) -> Request<M> {
        let mut request = self.actor(by, message);
        request.metadata_mut().remove(TIMEOUT_METADATA);
        request
    }

    /// A request that needs no signature, with where it came from: in metadata over the wire, in the extensions for layers of this
    /// process.
    pub(crate) fn unsigned<M>(&self, from: Option<IpAddr>, message: M) -> Request<M> {
        let mut request = self.internal(message);
        if let Some(address) = from {
            if let Ok(value) = address.to_string().parse() {
                request.metadata_mut().insert(SOURCE_IP_METADATA, value);
            }
            request.extensions_mut().insert(SourceIp(address));
        }
        request
    }

    /// A request that changes something.
    pub(crate) fn mutation<M: Mutating>(&self, by: Mutation, mut message: M) -> Request<M> {
        message.set_mutation((&by).into());
        self.actor(by.actor, message)
    }
}

/// A time as tonic writes it, which it would do anew for each request.
fn written(timeout: Duration) -> Option<MetadataValue<Ascii>> {
    let mut request = Request::new(());
    request.set_timeout(timeout);
    request.metadata().get(TIMEOUT_METADATA).cloned()
}

/// The actor of a client that signs its calls, or has a certificate: the hub's front door finds out who that is.
pub fn admitted_at_the_door() -> Vouched<Actor> {
    Vouched::in_process(Actor::system("whoever the hub's front door admits"))
}

/// Sends a request by the generated client, and reads the answer.
macro_rules! call {
    ($remote:ident.$client:ident::$rpc:ident($request:expr)) => {
        $crate::grpc::received(TryFrom::try_from(call!(raw $remote.$client::$rpc($request))))
    };
    (raw $remote:ident.$client:ident::$rpc:ident($request:expr)) => {
        $client::new($remote.channel())
            .max_decoding_message_size($crate::grpc::MESSAGE_BYTES_MAX)
            .max_encoding_message_size($crate::grpc::MESSAGE_BYTES_MAX)
            .$rpc($request)
            .await?
            .into_inner()
    };
}
pub(crate) use call;

/// An answer that cannot be read is a fault: the service is of another version, or not ours.
pub(crate) fn received<T, E: From<Fault>>(answer: Result<T, CallError>) -> Result<T, E> {
    answer.map_err(|error| {
        tracing::error!(%error, "an answer of a service cannot be read");
        Fault::Internal.into()
    })
}

#[cfg(test)]
mod tests {
    use tonic::service::Routes;

    use super::*;

    #[test]
    fn each_call_says_how_long_it_may_take() {
        let said = |remote: &Remote<Routes>| {
            let request = remote.internal(());
            request.metadata().get("grpc-timeout").map(|timeout| timeout.to_str().unwrap().to_owned())
        };
        let remote = Remote::new(Routes::default());
        let mut expected = Request::new(());
        expected.set_timeout(CALL_TIMEOUT);
        let expected = expected.metadata().get("grpc-timeout").unwrap().to_str().unwrap();
        assert_eq!(said(&remote).as_deref(), Some(expected));
        let remote = remote.with_timeout(Duration::from_millis(5));
        assert_eq!(said(&remote), said(&remote.clone()), "also the second time");
        assert_eq!(said(&remote).as_deref(), Some("5000000n"));
        let ongoing = remote.ongoing(admitted_at_the_door(), ());
        assert!(!ongoing.metadata().contains_key("grpc-timeout"), "a stream goes on");
    }
}
