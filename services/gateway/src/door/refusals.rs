//! Calls of spokes that authn refused, recorded as refused reviews are: a spoke that asks for another cluster, or for what is not
//! a spoke's, never does so by itself.

use std::str::FromStr as _;

use bytes::Bytes;
use http::request;
use lanyard_api::{
    ActorKind, ClusterUid, DecisionId, Denial,
    authz::{DecisionKind, DecisionOutcome, DecisionRecord},
    methods::{self, ClusterRef},
};
use lanyard_kit::{serve, tls::PeerIdentity};

use crate::{kubernetes::Gateway, recorder, services::Services};

/// Records the refusal of a spoke, under the cluster that its certificate names, and puts the decision's number into what the
/// caller is told. What anybody else is told stays as it is: their calls are counted, and a stranger chooses none of our records.
pub(super) fn recorded<S: Services>(
    gateway: &Gateway<S>,
    parts: &request::Parts,
    message: &Bytes,
    outcome: DecisionOutcome,
    denial: Denial,
) -> Denial {
    let Some(cluster) = spoke_of(gateway, parts) else { return denial };
    let Denial { code, message: why } = denial;
    let (id, method) = (DecisionId::random(), parts.uri.path());
    let who =
        lanyard_api::Actor { kind: ActorKind::Spoke { cluster }, ..lanyard_api::Actor::system("spoke") }
            .name();
    let what = asked(method, message);
    tracing::warn!(
        cluster.uid = %cluster,
        rpc.method = method,
        decision.id = %id,
        reason.code = %code,
        "a spoke's call was refused"
    );
    gateway.parts.recorder.take(DecisionRecord {
        id,
        at: gateway.parts.clock.now(),
        cluster,
        kind: DecisionKind::ManagementCall,
        outcome,
        reason: code.clone(),
        who: who.into(),
        what: what.into(),
        detail: why.as_str().into(),
        trace: recorder::trace(),
        question: None,
    });
    Denial { code, message: format!("{why}; decision {id}") }
}

/// The cluster of the connection's certificate, where that is a spoke's of this hub.
fn spoke_of<S: Services>(gateway: &Gateway<S>, parts: &request::Parts) -> Option<ClusterUid> {
    let peer = parts.extensions.get::<serve::Peer>()?;
    match peer.identity.as_deref()? {
        PeerIdentity::Spoke { hub, cluster_uid } if *hub == gateway.parts.hub.hub_id.to_string() => {
            ClusterUid::from_str(cluster_uid).ok()
        }
        PeerIdentity::Spoke { .. } | PeerIdentity::Service { .. } | PeerIdentity::Principal { .. } => None,
    }
}

/// The method, and the cluster that the message names, as far as it can be read.
fn asked(method: &str, message: &Bytes) -> String {
    // A path is as long as its caller likes; those of methods are short.
    let known = methods::find(method).map_or("a method that there is not", |known| known.path);
    let cluster = methods::read(method, message).ok().and_then(|call| call.target.cluster);
    match cluster {
        Some(ClusterRef::Id(id)) => format!("{known} of cluster `{id}`"),
        Some(ClusterRef::Uid(uid)) => format!("{known} of cluster `{uid}`"),
        Some(ClusterRef::Missing(name)) => format!("{known} of cluster `{name}`"),
        None => known.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use lanyard_proto::mapping::v1::PushAwsAuthRequest;
    use prost::Message as _;

    use super::*;

    #[test]
    fn what_was_asked_names_the_method_and_the_cluster_and_nothing_of_a_callers_own_making() {
        let push = "/lanyard.mapping.v1.Clusters/PushAwsAuth";
        let other = PushAwsAuthRequest { cluster: "other".to_owned(), ..Default::default() };
        let cases = [
            (push, other.encode_to_vec(), format!("{push} of cluster `other`")),
            (push, vec![0xff], push.to_owned()),
            ("/made/up\n", vec![], "a method that there is not".to_owned()),
        ];
        for (method, message, expected) in cases {
            assert_eq!(asked(method, &Bytes::from(message)), expected);
        }
    }
}
