use super::{samples::*, *};
use crate::{
    CallError, ClusterId, ClusterUid, Fault,
    credentials::{
        FoundIssuer, HostedIssuer, HostedKey, IrsaObstacle, IssuerDescription, IssuerDocuments, IssuerKey,
        IssuerSigner, Issuers, MutatePod, PodMutation, PodRefusal, Pods, PublishIssuerKey,
        PublishedDocuments, ServiceAccount, ServiceAccountBatch, ServiceAccountName, ServiceAccountSummary,
        WorkloadIssuer, Workloads,
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

fn hosted() -> HostedIssuer {
    let key = |signer, superseded_at| HostedKey {
        key: issuer(None).keys.remove(0),
        signer,
        published_by: text("ana"),
        published_at: moment(1),
        signs_from: moment(2),
        superseded_at,
    };
    HostedIssuer {
        cluster: uid(1),
        issuer_url: text("https://hub.example/id/1"),
        keys: vec![key(IssuerSigner::ApiServer, Some(moment(4))), key(IssuerSigner::Hub, None)],
    }
}

fn documents() -> PublishedDocuments {
    PublishedDocuments { configuration: text("{}"), jwks: text(r#"{"keys":[]}"#) }
}

fake! { Issuers {
    change publish_issuer_key(id: ClusterId, asked: PublishIssuerKey) -> Mutated<HostedIssuer>, CallError
        = mutated(hosted());
    change retire_issuer_key(id: ClusterId, kid: String, early: bool) -> Mutated<HostedIssuer>, CallError
        = mutated(HostedIssuer { keys: Vec::new(), ..hosted() });
    change rotate_hub_issuer_key(id: ClusterId) -> Mutated<HostedIssuer>, CallError = mutated(hosted());
    ask describe_issuer(id: ClusterId) -> IssuerDescription, CallError = IssuerDescription {
        issuer_url: Some(hosted().issuer_url),
        hub_url: None,
        hosted: Some(hosted()),
        watched: Some(issuer(None)),
        documents: Some(documents()),
    };
    plain find_issuer(cluster: ClusterUid) -> FoundIssuer, Fault
        = FoundIssuer { issuer_url: None, documents: Some(documents()) };
} }

async fn issuer_calls<T: Issuers>(to: &T) -> Vec<String> {
    let dev = || -> ClusterId { "dev-1".parse().unwrap() };
    let own = PublishIssuerKey { jwk: text("{}"), issuer_url: None };
    let bucket = PublishIssuerKey { issuer_url: Some(text("https://bucket.example")), ..own.clone() };
    answers![
        to.publish_issuer_key(change(), dev(), own),
        to.publish_issuer_key(silent_change(), dev(), bucket),
        to.retire_issuer_key(change(), dev(), text("a"), true),
        to.rotate_hub_issuer_key(change(), dev()),
        to.describe_issuer(actor(), dev()),
        to.find_issuer(uid(1)),
    ]
}

#[tokio::test]
async fn issuers_are_the_same_over_grpc() {
    same_over_grpc!(issuer_calls);
}

fake! { Pods {
    plain mutate_pod(asked: MutatePod) -> PodMutation, Fault
        = PodMutation {
            patch: Some("[]".into()),
            warnings: vec![text("mind the gap")],
            refusal: Some(PodRefusal { message: text("not seen yet"), passing: true }),
        };
} }

async fn pod_calls<T: Pods>(to: &T) -> Vec<String> {
    let asked = |before: Option<&'static str>, required| MutatePod {
        cluster: uid(1),
        namespace: text("team-a"),
        pod: "{}".into(),
        before: before.map(Into::into),
        required,
    };
    answers![to.mutate_pod(asked(None, true)), to.mutate_pod(asked(Some("{}"), false))]
}

#[tokio::test]
async fn pods_are_the_same_over_grpc() {
    same_over_grpc!(pod_calls);
}
