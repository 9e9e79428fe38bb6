use super::{samples::*, *};
use crate::{
    CallError, ClusterId,
    credentials::{
        IrsaObstacle, IssuerDocuments, IssuerKey, ServiceAccount, ServiceAccountBatch, ServiceAccountName,
        ServiceAccountSummary, WorkloadIssuer, Workloads,
    },
};

fn account(name: &str) -> ServiceAccount {
    ServiceAccount {
        namespace: text("team-a"),
        name: text(name),
        uid: text("0b8e"),
        annotations: tags(&["eks.amazonaws.com/role-arn"]),
    }
}

fn issuer(irsa_obstacle: Option<IrsaObstacle>) -> WorkloadIssuer {
    let key = |kid: Option<&str>| IssuerKey {
        kid: kid.map(text),
        thumbprint: text("abc"),
        algorithms: vec![text("RS256")],
        jwk: text("{}"),
    };
    WorkloadIssuer {
        cluster: uid(1),
        issuer_url: text("https://issuer.example"),
        keys: vec![key(Some("a")), key(None)],
        irsa_obstacle,
        pushed_by: text("spoke"),
        pushed_at: moment(3),
    }
}

fake! { Workloads {
    change apply_service_accounts(id: ClusterId, batch: ServiceAccountBatch) -> Mutated<ServiceAccountSummary>, CallError
        = mutated(ServiceAccountSummary { created: 1, changed: 2, unchanged: 3, removed: 4, refused: vec![text("a/b")] });
    ask list_service_accounts(id: ClusterId, query: PageQuery) -> Page<ServiceAccount>, CallError
        = page(vec![account("bot"), ServiceAccount { annotations: tags(&[]), ..account("other") }]);
    change push_issuer(id: ClusterId, pushed: IssuerDocuments) -> Mutated<WorkloadIssuer>, CallError
        = mutated(issuer(Some(IrsaObstacle::InClusterName)));
    ask get_issuer(id: ClusterId) -> WorkloadIssuer, CallError = issuer(None);
} }

async fn workload_calls<T: Workloads>(to: &T) -> Vec<String> {
    let dev = || -> ClusterId { "dev-1".parse().unwrap() };
    let name = |name: &str| ServiceAccountName { namespace: text("team-a"), name: text(name) };
    let some = ServiceAccountBatch {
        service_accounts: vec![account("bot")],
        removed: vec![name("gone")],
        replace: false,
    };
    let nothing = ServiceAccountBatch { replace: true, ..ServiceAccountBatch::default() };
    let pushed = IssuerDocuments { issuer_url: text("https://issuer.example"), jwks: text("{}") };
    answers![
        to.apply_service_accounts(change(), dev(), some),
        to.apply_service_accounts(silent_change(), dev(), nothing),
        to.list_service_accounts(actor(), dev(), some_page()),
        to.push_issuer(change(), dev(), pushed),
        to.get_issuer(actor(), dev()),
    ]
}

#[tokio::test]
async fn workloads_are_the_same_over_grpc() {
    same_over_grpc!(workload_calls);
}
