//! Calls that come by certificate: of a spoke cluster, about itself alone; or of the spoke service, which watches clusters.

use std::sync::Arc;

use lanyard_api::authn::{Admission, AdmitQuery};
use lanyard_api::methods::{self, SPOKE_SERVICE};
use lanyard_api::{Actor, ActorKind, Denial, Fault, Vouched};
use lanyard_kit::tls::PeerIdentity;

use super::denial::denial;
use super::weigh::named_cluster;
use crate::cache::SharedCache;
use crate::engine::Engine;
use crate::snapshot::{ClusterView, HubSnapshot};

impl<S: SharedCache> Engine<S> {
    /// A certificate's name is not enough: it has to be one that still counts. A spoke may push what it sees of its own
    /// cluster and do nothing else; that it asked for another cluster is logged, for it never does by itself.
    pub(super) async fn judge_certificate(&self, query: &AdmitQuery) -> Result<Admission, Fault> {
        let hub = self.directory.hub().await?;
        let speaker = match self.speaker(&hub, query) {
            Ok(speaker) => speaker,
            Err(denial) => return Ok(Admission::Unauthenticated(denial)),
        };
        if query.beside.is_some() || !methods::OF_SPOKES.contains(&query.method.as_str()) {
            let message = format!(
                "a spoke pushes what it sees of its own cluster, and may not call `{}`",
                query.method
            );
            return Ok(Admission::Forbidden(denial("spoke_call", message)));
        }
        let call = match methods::read(&query.method, &query.body) {
            Ok(call) => call,
            Err(denial) => return Ok(Admission::Forbidden(denial)),
        };
        let named = named_cluster(&hub, &call);
        let (cluster, by) = match speaker {
            Speaker::Service => (named, "the spoke service"),
            Speaker::Spoke(own) => {
                let is_own = named.is_some_and(|named| named.cluster.uid == own.cluster.uid);
                if !is_own {
                    tracing::warn!(
                        cluster.uid = own.uid,
                        rpc.method = query.method,
                        "a spoke asked for a cluster that is not its own, and was refused"
                    );
                }
                (is_own.then_some(own), "its certificate")
            }
        };
        // Another's cluster and none at all are answered alike.
        let Some(view) = cluster else {
            let message = "there is no such cluster for this certificate: a spoke may ask for its own alone";
            return Ok(Admission::Forbidden(denial("other_cluster", message)));
        };
        let actor = Actor {
            kind: ActorKind::Spoke { cluster: view.cluster.uid },
            action: call.action.to_owned(),
            resource: view.cluster.arn(),
            request_digest: call.request_digest,
            signature: None,
            allowed_by: by.to_owned(),
        };
        Ok(Admission::Admitted(Box::new(Vouched::in_process(actor))))
    }

    fn speaker<'a>(&self, hub: &'a HubSnapshot, query: &AdmitQuery) -> Result<Speaker<'a>, Denial> {
        let refused = |message: &str| denial("certificate_principal", message);
        let principal = query.certificate_principal.as_deref().unwrap_or_default();
        let Ok(identity) = principal.parse::<PeerIdentity>() else {
            let message =
                "certificates of principals are not accepted here; sign the call with an access key";
            return Err(refused(message));
        };
        let own_hub = self.hub.id.to_string();
        match identity {
            PeerIdentity::Service { hub, name } if hub == own_hub && name == SPOKE_SERVICE => {
                Ok(Speaker::Service)
            }
            PeerIdentity::Spoke { hub: of, cluster_uid } if of == own_hub => {
                let sha256 = query.certificate_sha256.as_deref().unwrap_or_default();
                let view = hub.cluster_of_certificate(sha256).filter(|view| view.uid == cluster_uid);
                let ended = || {
                    refused(
                        "this certificate does not count, or not any more: make another one with `lanyard pki issue-spoke`",
                    )
                };
                view.map(Speaker::Spoke).ok_or_else(ended)
            }
            PeerIdentity::Service { .. } | PeerIdentity::Spoke { .. } => {
                Err(refused("the certificate is not of a spoke of this hub"))
            }
        }
    }
}

/// Who calls by certificate.
enum Speaker<'a> {
    /// The service that watches clusters.
    Service,
    /// A cluster.
    Spoke(&'a Arc<ClusterView>),
}
