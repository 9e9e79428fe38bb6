//! The services in other processes.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use lanyard_api::{
    ClusterUid, Fault,
    authn::{AdmitAws, AdmitAwsQuery, AwsAdmission},
    credentials::{FoundIssuer, Issuers as _},
    grpc::Remote,
    methods,
    voucher::Audience,
};
use lanyard_kit::{
    Clock,
    peers::{Options, PeerFault, Peers, PeersConfig, PeersError},
    telemetry::Calls,
    tls::LiveIdentity,
};
use tonic::body::Body;
use tower::Service;
use url::Url;

use crate::{backend::Backend, recorder::Recorder};

/// The way to one service. What breaks off is not asked again here: the SDKs of AWS do so themselves.
#[derive(Debug, Clone)]
pub struct Way(Peers<Body>);

impl Service<Request<Body>> for Way {
    type Response = Response<Body>;
    type Error = PeerFault;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, PeerFault>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), PeerFault>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move { Ok(answer.await?.map(Body::new)) })
    }
}

/// The services that calls of the AWS wire go to, each behind its own connections.
#[derive(Debug, Clone)]
pub struct RemoteServices {
    admit: Remote<Way>,
    authn: Way,
    mapping: Way,
    recorder: Recorder,
    credentials: Way,
    issuers: Remote<Way>,
}

impl RemoteServices {
    /// Begins to connect to all of them. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`PeersError`] names a service without an address, or an address that is none.
    pub fn connect(
        identity: &LiveIdentity,
        peers: &PeersConfig,
        call_timeout: Duration,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, PeersError> {
        let calls: Arc<Calls> = Calls::sent(methods::paths());
        let hub = &identity.first().hub;
        let way = |service: &str, urls: &[Url]| -> Result<Way, PeersError> {
            let options = Options::new(hub, service, urls.to_vec(), identity.client(), &calls);
            Ok(Way(Peers::connect(&options)?))
        };
        let authn = way("authn", &peers.authn)?;
        let authz = way("authz", &peers.authz)?;
        let credentials = way("credentials", &peers.credentials)?;
        Ok(Self {
            admit: Remote::new(authn.clone()).with_timeout(call_timeout),
            authn,
            mapping: way("mapping", &peers.mapping)?,
            recorder: Recorder::start(Remote::new(authz).with_timeout(call_timeout), clock),
            issuers: Remote::new(credentials.clone()).with_timeout(call_timeout),
            credentials,
        })
    }

    /// Waits until each service that calls need has a replica that is connected. Calls do not need authz: decisions that it cannot be told
    /// of are lost, and counted (`lanyard_decisions_dropped_total`).
    pub async fn connected(&self) {
        for Way(peers) in [&self.authn, &self.mapping, &self.credentials] {
            // An error says that the connections are being taken down.
            let _ = peers.connected().wait_for(|count| *count > 0).await;
        }
    }
}

impl Backend for RemoteServices {
    type Way = Way;

    async fn admit(&self, query: AdmitAwsQuery) -> Result<AwsAdmission, Fault> {
        self.admit.admit_aws(query).await
    }

    fn way(&self, to: Audience) -> Option<Way> {
        match to {
            Audience::Authn => Some(self.authn.clone()),
            Audience::Mapping => Some(self.mapping.clone()),
            Audience::Credentials => Some(self.credentials.clone()),
            Audience::Authz | Audience::Gateway => None,
        }
    }

    fn recorder(&self) -> Option<&Recorder> {
        Some(&self.recorder)
    }

    async fn issuer(&self, cluster: ClusterUid) -> Result<FoundIssuer, Fault> {
        self.issuers.find_issuer(cluster).await
    }
}
