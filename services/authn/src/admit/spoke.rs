//! Calls of a spoke cluster, about itself alone; or of the spoke service, which watches clusters.

use std::sync::Arc;

use lanyard_api::authn::{Admission, AdmitQuery};
use lanyard_api::methods::{self, SPOKE_SERVICE};
use lanyard_api::{Actor, ActorKind, Denial, Fault, SignatureUse, Vouched};
use lanyard_kit::tls::PeerIdentity;

use super::certificate::Proven;
use super::denial::denial;
use super::weigh::named_cluster;
use crate::cache::SharedCache;
use crate::engine::Engine;
use crate::snapshot::{ClusterView, HubSnapshot};

impl<S: SharedCache> Engine<S> {
    /// A certificate's name and signature are not enough: it has to be one that still counts. A spoke may push what it sees of its
    /// own cluster and do nothing else; that it asked for more is recorded at the door, for it never does by itself.
    pub(super) fn judge_spoke(&self, hub: &HubSnapshot, query: &AdmitQuery, proven: &Proven) -> Admission {
        let own = match &proven.identity {
            PeerIdentity::Spoke { cluster_uid, .. } => {
                hub.cluster_of_certificate(&proven.sha256.to_string()).filter(|view| view.uid == *cluster_uid)
            }
            PeerIdentity::Service { .. } | PeerIdentity::Principal { .. } => None,
        };
        let Some(own) = own else {
            return Admission::Unauthenticated(denial(
                "certificate_principal",
                "this certificate does not count, or not any more: make another one with `lanyard pki issue-spoke`",
            ));
        };
        let is_own = |named: &ClusterView| named.cluster.uid == own.cluster.uid;
        admit_spoke(hub, query, is_own, Some(&proven.used), "its certificate")
    }

    /// The spoke service acts for the cluster that its call names. It is known by the certificate of its own connection, which
    /// is looked at where the call comes in.
    pub(super) async fn judge_service(&self, query: &AdmitQuery) -> Result<Admission, Fault> {
        let hub = self.directory.hub().await?;
        let identity = query.certificate_principal.as_deref().map(str::parse::<PeerIdentity>);
        let is_spoke_service = matches!(
            &identity,
            Some(Ok(PeerIdentity::Service { hub: of, name })) if *of == self.hub.id.to_string() && name == SPOKE_SERVICE
        );
        if !is_spoke_service {
            let message = "the certificate is not of a spoke of this hub";
            return Ok(Admission::Unauthenticated(denial("certificate_principal", message)));
        }
        Ok(admit_spoke(&hub, query, |_| true, None, "the spoke service"))
    }
}

/// What a spoke may ask, of the cluster that the call names where it may be that.
fn admit_spoke(
    hub: &HubSnapshot,
    query: &AdmitQuery,
    may_be: impl Fn(&ClusterView) -> bool,
    used: Option<&SignatureUse>,
    by: &str,
) -> Admission {
    if query.beside.is_some() || !methods::OF_SPOKES.contains(&query.method.as_str()) {
        let message =
            format!("a spoke pushes what it sees of its own cluster, and may not call `{}`", query.method);
        return Admission::Forbidden(denial("spoke_call", message));
    }
    let call = match methods::read(&query.method, &query.body) {
        Ok(call) => call,
        Err(denial) => return Admission::Forbidden(denial),
    };
    // Another's cluster and none at all are answered alike.
    let named: Option<&Arc<ClusterView>> = named_cluster(hub, &call).filter(|view| may_be(view));
    let Some(view) = named else { return Admission::Forbidden(other_cluster()) };
    let actor = Actor {
        kind: ActorKind::Spoke { cluster: view.cluster.uid },
        action: call.action.to_owned(),
        resource: view.cluster.arn(),
        request_digest: call.request_digest,
        signature: used.filter(|_| call.mutates).cloned(),
        allowed_by: by.to_owned(),
    };
    Admission::Admitted(Box::new(Vouched::in_process(actor)))
}

fn other_cluster() -> Denial {
    denial(
        "other_cluster",
        "there is no such cluster for this certificate: a spoke may ask for its own alone",
    )
}
