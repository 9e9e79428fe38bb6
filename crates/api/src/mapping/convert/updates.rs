//! Changes of clusters.

use lanyard_proto::{call::v1 as call, mapping::v1 as pb};

use crate::{
    grpc::{codec::convert, field::wire_enum, mutation::pages},
    mapping::{ClusterUpdate, ClusterUpdateParam, ClusterUpdateType},
};

wire_enum! { ClusterUpdateType = call::ClusterUpdateType {
    AccessConfig, Config, AssociateIdentityProvider, DisassociateIdentityProvider,
} }
convert! { ClusterUpdateParam = call::ClusterUpdateParam { value: plain; kind = r#type: plain } }
convert! { ClusterUpdate = call::ClusterUpdate {
    id: text, params: items, created_at: moment; cluster = cluster_uid: text, kind = r#type: choice,
} }
pages! { ClusterUpdate = pb::ClusterUpdatePage }
