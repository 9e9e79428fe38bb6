//! The ways to the services of other processes, for the spoke service: what it does in a cluster's name is admitted by authn.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Collected, Full};
use lanyard_api::{
    Actor, Vouched,
    authn::{Admission, Admit as _, AdmitQuery},
    grpc::{ACTOR_METADATA, Remote},
    methods,
};
use lanyard_kit::{
    peers::{Options, PeerFault, Peers, PeersConfig, PeersError},
    telemetry::Calls,
    tls::{LiveIdentity, PeerIdentity},
};
use tonic::{Status, body::Body};
use tower::Service;
use url::Url;

/// Bytes before each gRPC message: a flag for compression, and the length.
const FRAME_BYTES: usize = 5;

/// The way to one service.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    peers: Peers<Body>,
}

type Answering<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl Service<Request<Body>> for Way {
    type Response = Response<Body>;
    type Error = PeerFault;
    type Future = Answering<PeerFault>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), PeerFault>> {
        self.peers.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.peers.call(request);
        Box::pin(async move { answer.await.map(|response| response.map(Body::new)) })
    }
}

/// The way to one service on which each call of an actor is admitted, by this service's own certificate.
#[derive(Debug, Clone)]
pub(crate) struct AdmittedWay {
    way: Way,
    authn: Way,
    /// `lanyard://hub/<hub>/service/spoke`
    identity: Arc<str>,
}

impl Service<Request<Body>> for AdmittedWay {
    type Response = Response<Body>;
    type Error = PeerFault;
    type Future = Answering<PeerFault>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), PeerFault>> {
        self.way.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.extensions().get::<Vouched<Actor>>().is_none() {
            return self.way.call(request);
        }
        let (mut way, authn, identity) =
            (self.way.clone(), Remote::new(self.authn.clone()), Arc::clone(&self.identity));
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            // A message of our own making: it is whole, and in memory.
            let framed = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
            let message = framed.slice(FRAME_BYTES.min(framed.len())..);
            match admit(&authn, &identity, parts.uri.path(), message).await {
                Ok(voucher) => drop(parts.headers.insert(ACTOR_METADATA, voucher)),
                Err(status) => return Ok(status.into_http()),
            }
            way.call(Request::from_parts(parts, Body::new(Full::new(framed)))).await
        })
    }
}

async fn admit(
    authn: &Remote<Way>,
    identity: &str,
    method: &str,
    body: Bytes,
) -> Result<HeaderValue, Status> {
    let query = AdmitQuery {
        method: method.to_owned(),
        authority: String::new(),
        headers: Vec::new(),
        body,
        source_ip: None,
        certificate_principal: Some(identity.to_owned()),
        certificate_sha256: None,
        beside: None,
    };
    match authn.admit(query).await? {
        Admission::Admitted(actor) => HeaderValue::from_str(&STANDARD_NO_PAD.encode(&actor.voucher))
            .map_err(|_| Status::internal("a voucher cannot be sent")),
        Admission::Unauthenticated(denial) | Admission::Forbidden(denial) => Err(Status::from(&denial)),
    }
}

/// Least time for a call that takes whole lists: the first of a cluster has tens of thousands of objects, which one transaction writes.
/// The other parts of the same watch wait for it meanwhile, and no other watch does.
const LIST_TIMEOUT_MIN: Duration = Duration::from_secs(60);

/// The services that the spoke service works with, each behind its own connections.
pub(crate) struct Services {
    pub(crate) mapping: Arc<Remote<AdmittedWay>>,
    pub(crate) authz: Arc<Remote<AdmittedWay>>,
    pub(crate) credentials: Arc<Remote<AdmittedWay>>,
    ways: [Way; 4],
}

impl Services {
    /// Begins to connect to all of them. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`PeersError`] names a service without an address, or an address that is none.
    pub(crate) fn connect(
        own: &LiveIdentity,
        peers: &PeersConfig,
        call_timeout: Duration,
    ) -> Result<Self, PeersError> {
        let hub = &own.first().hub;
        let calls = Calls::sent(methods::paths());
        let way = |service: &str, urls: &[Url]| {
            let options = Options::new(hub, service, urls.to_vec(), own.client(), &calls);
            Ok::<_, PeersError>(Way { peers: Peers::connect(&options)? })
        };
        let (authn, mapping) = (way("authn", &peers.authn)?, way("mapping", &peers.mapping)?);
        let (authz, credentials) = (way("authz", &peers.authz)?, way("credentials", &peers.credentials)?);
        let identity: Arc<str> = PeerIdentity::service(hub, &own.first().service)?.to_string().into();
        let remote = |way: &Way, timeout: Duration| {
            let admitted =
                AdmittedWay { way: way.clone(), authn: authn.clone(), identity: Arc::clone(&identity) };
            Arc::new(Remote::new(admitted).with_timeout(timeout))
        };
        let of_lists = call_timeout.max(LIST_TIMEOUT_MIN);
        Ok(Self {
            mapping: remote(&mapping, call_timeout),
            authz: remote(&authz, of_lists),
            credentials: remote(&credentials, of_lists),
            ways: [authn, mapping, authz, credentials],
        })
    }

    /// Waits until each service has a replica that is connected.
    pub(crate) async fn connected(&self) {
        for way in &self.ways {
            // An error says that the connections are being taken down.
            let _ = way.peers.connected().wait_for(|count| *count > 0).await;
        }
    }
}
