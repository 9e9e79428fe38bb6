use super::{samples::*, *};
use crate::{
    CallError, ClusterId, ClusterUpdateId,
    mapping::{ClusterUpdate, ClusterUpdateType, Updates},
};

fake! { Updates {
    ask get_update(cluster: ClusterId, id: ClusterUpdateId) -> ClusterUpdate, CallError = update();
    ask list_updates(cluster: ClusterId, query: PageQuery) -> Page<ClusterUpdate>, CallError = page(vec![
        update(),
        ClusterUpdate { kind: ClusterUpdateType::Config, params: vec![], ..update() },
        ClusterUpdate { kind: ClusterUpdateType::AssociateIdentityProvider, ..update() },
        ClusterUpdate { kind: ClusterUpdateType::DisassociateIdentityProvider, ..update() },
    ]);
} }

async fn update_calls<T: Updates>(to: &T) -> Vec<String> {
    let dev = || -> ClusterId { "dev-1".parse().unwrap() };
    answers![to.get_update(actor(), dev(), update().id), to.list_updates(actor(), dev(), some_page())]
}

#[tokio::test]
async fn updates_are_the_same_over_grpc() {
    same_over_grpc!(update_calls);
}
