//! Clusters.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lanyard_api::{CallError, Mutated, mapping::Cluster};
use lanyard_proto::mapping::v1 as pb;
use prost::Message;
use serde_json::{Value, json};

use super::{page, updates};
use crate::{
    answer::{Answer, epoch_seconds},
    backend::Backend,
    door::Hub,
    operations::Call,
};

pub(in crate::operations) async fn list<B: Backend>(call: &Call<'_, B>) -> Result<Answer, CallError> {
    let NamesPage { items, next_token } = call.asked::<pb::ListClustersRequest, NamesPage>().await?;
    let names = items.into_iter().map(|cluster| Value::from(cluster.name)).collect();
    Ok(Answer::Rest(page("clusters", names, call.next_token(next_token)).into()))
}

/// `lanyard.mapping.v1.ClusterPage` with nothing of its clusters but their names, for those alone are listed here: certificates are most of
/// what it has.
#[derive(Clone, PartialEq, Message)]
struct NamesPage {
    #[prost(message, repeated, tag = "1")]
    items: Vec<Name>,
    #[prost(string, optional, tag = "2")]
    next_token: Option<String>,
}

/// The same of `lanyard.mapping.v1.Cluster`.
#[derive(Clone, PartialEq, Message)]
struct Name {
    #[prost(string, tag = "3")]
    name: String,
}

pub(in crate::operations) async fn describe<B: Backend>(call: &Call<'_, B>) -> Result<Answer, CallError> {
    let cluster: Cluster = call.ask::<pb::DescribeClusterRequest, pb::Cluster, _>().await?;
    let mut shape = shape(&cluster, call.hub, "ACTIVE");
    if let (Some(issuer), Value::Object(members)) = (issuer(call, &cluster).await, &mut shape) {
        members.insert("identity".to_owned(), json!({ "oidc": { "issuer": issuer } }));
    }
    Ok(Answer::Rest(json!({ "cluster": shape })))
}

/// Who signs the tokens of its pods; none where that is not known. A cluster is described all the same.
async fn issuer<B: Backend>(call: &Call<'_, B>, cluster: &Cluster) -> Option<String> {
    match call.backend.issuer(cluster.uid).await {
        Ok(found) => found.issuer_url,
        Err(fault) => {
            tracing::warn!(%fault, cluster.name = %cluster.id, "a cluster is described without its issuer");
            None
        }
    }
}

/// It is there at once, and so is active: the waiter of SDKs finds what it waits for.
pub(in crate::operations) async fn create<B: Backend>(call: &Call<'_, B>) -> Result<Answer, CallError> {
    let made = call.ask::<pb::CreateClusterRequest, pb::ClusterMutated, Mutated<Cluster>>().await?;
    Ok(Answer::Rest(json!({ "cluster": shape(&made.value, call.hub, "ACTIVE") })))
}

/// The update, which is done: whoever follows it by `DescribeUpdate` finds that at once.
pub(in crate::operations) async fn update_config<B: Backend>(
    call: &Call<'_, B>,
) -> Result<Answer, CallError> {
    let changed = call.ask::<pb::UpdateClusterConfigRequest, pb::ClusterMutated, Mutated<Cluster>>().await?;
    Ok(Answer::Rest(json!({ "update": updates::of(&changed)? })))
}

/// As it was; the next look finds none.
pub(in crate::operations) async fn delete<B: Backend>(call: &Call<'_, B>) -> Result<Answer, CallError> {
    let gone = call.ask::<pb::DeleteClusterRequest, pb::ClusterMutated, Mutated<Cluster>>().await?;
    Ok(Answer::Rest(json!({ "cluster": shape(&gone.value, call.hub, "DELETING") })))
}

/// A cluster as EKS shows one. One whose API server the hub does not know is reached at the hub itself, which answers `kubectl auth`
/// in its place. Where its id is not its name, it looks like one on an Outpost: of those, stock tools sign the id.
fn shape(cluster: &Cluster, hub: &Hub, status: &str) -> Value {
    let own = Arc::clone(&hub.certificate_authority.borrow());
    let (endpoint, authority) = match (&cluster.endpoint, &hub.gateway_url) {
        (Some(endpoint), _) => (Some(endpoint.clone()), cluster.certificate_authority.as_deref()),
        (None, Some(url)) => (Some(format!("{url}/clusters/{}", cluster.id)), Some(&*own)),
        (None, None) => (None, None),
    };
    let mut shape = json!({
        "name": cluster.name,
        "arn": cluster.arn(),
        "createdAt": epoch_seconds(cluster.created_at),
        "status": status,
        "accessConfig": { "authenticationMode": cluster.authentication_mode },
        "tags": cluster.tags,
    });
    let mut add = |name: &str, value: Value| {
        if let Value::Object(members) = &mut shape {
            members.insert(name.to_owned(), value);
        }
    };
    if let Some(endpoint) = endpoint {
        add("endpoint", Value::from(endpoint));
    }
    if let Some(pem) = authority {
        add("certificateAuthority", json!({ "data": STANDARD.encode(pem) }));
    }
    if cluster.id.as_str() != cluster.name {
        add("id", Value::from(cluster.id.as_str()));
        // The AWS CLI takes the id where this is there. It names no Outpost, for there is none: eksctl, which wants one, goes no further.
        add("outpostConfig", json!({ "outpostArns": [], "controlPlaneInstanceType": "lanyard" }));
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_page_are_read_where_the_service_writes_them() {
        let cluster = |name: &str| pb::Cluster {
            uid: "uid".to_owned(),
            id: format!("{name}-2"),
            name: name.to_owned(),
            certificate_authority: Some("pem".to_owned()),
            ..Default::default()
        };
        for next_token in [None, Some("b-2".to_owned())] {
            let page =
                pb::ClusterPage { items: vec![cluster("a"), cluster("b")], next_token: next_token.clone() };
            let read = NamesPage::decode(&*page.encode_to_vec()).unwrap();
            let names: Vec<_> = read.items.iter().map(|cluster| cluster.name.as_str()).collect();
            assert_eq!((names.as_slice(), read.next_token), (["a", "b"].as_slice(), next_token));
        }
    }
}
