//! Pods with their tokens, and the nodes that ask for them.

use std::sync::{Arc, LazyLock};

use lanyard_api::{
    Actor, ActorKind, CallError, ClusterUid, Fault, Mutation, Vouched,
    authn::accounts::{InlinePolicy, PolicyOwner},
    credentials::{
        Associations, AssumeRoleForPodIdentity, CreatePodIdentityAssociation, POD_IDENTITY_AUDIENCE,
        PodCredentials, PodIdentityAssociation, SessionCredentials, Vend, Workloads,
    },
    mapping::Cluster,
};
use lanyard_iam::SessionClaims;
use lanyard_oidc::{
    Algorithm,
    stand_in::{Projected, SigningKey},
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{bench::*, issuers::documents, opener::session_opener};

pub(crate) const ISSUER: &str = "https://issuer.example/dev";
pub(crate) const NODE: &str = "ip-10-0-0-7.ec2.internal";
/// The key of the cluster's issuer.
static KEY: LazyLock<Arc<SigningKey>> =
    LazyLock::new(|| Arc::new(SigningKey::generate(Algorithm::Es256, "own")));

pub(crate) fn own_key() -> Arc<SigningKey> {
    Arc::clone(&KEY)
}

/// A token's claims.
pub(crate) fn claims() -> Value {
    let projected = Projected {
        issuer: ISSUER,
        audience: POD_IDENTITY_AUDIENCE,
        namespace: "team-a",
        service_account: "bot",
        pod: "web-1",
        node: NODE,
        issued_at: NOON,
        lifetime: time::Duration::DAY,
    };
    projected.claims()
}

/// The claims of a token, changed.
pub(crate) fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut claims = claims();
    change(&mut claims);
    claims
}

/// The same of another ServiceAccount.
pub(crate) fn of_account(namespace: &str, name: &str) -> Value {
    with(|claims| {
        claims["sub"] = format!("system:serviceaccount:{namespace}:{name}").into();
        claims["kubernetes.io"]["namespace"] = namespace.into();
        claims["kubernetes.io"]["serviceaccount"]["name"] = name.into();
    })
}

/// The token of the pod `web-1`.
pub(crate) fn token() -> String {
    KEY.mint(&claims())
}

/// A node of a cluster, admitted.
pub(crate) fn node(cluster: ClusterUid, name: &str) -> Vouched<Actor> {
    let kind = ActorKind::Node { cluster, name: name.to_owned() };
    Vouched::in_process(Actor { kind, ..Actor::system("test") })
}

pub(crate) fn request(token: &str) -> AssumeRoleForPodIdentity {
    AssumeRoleForPodIdentity {
        cluster: dev(),
        token: token.to_owned().into(),
        node_name: Some(NODE.to_owned()),
    }
}

pub(crate) type Answer = Result<PodCredentials, CallError>;

impl Bench {
    /// Tells the hub of the issuer of `dev`, with these keys.
    pub(crate) async fn knows(&self, keys: &[&SigningKey]) {
        let by = Mutation::by(spoke(self.cluster.uid));
        self.engine.push_issuer(by, dev(), documents(ISSUER, keys)).await.unwrap();
    }

    /// Makes an association for `team-a/bot`, changed.
    pub(crate) async fn associate(
        &self,
        change: impl FnOnce(&mut CreatePodIdentityAssociation),
    ) -> PodIdentityAssociation {
        let mut asked = CreatePodIdentityAssociation {
            cluster: dev(),
            namespace: "team-a".to_owned(),
            service_account: "bot".to_owned(),
            role_arn: format!("arn:aws:iam::{HOME}:role/app"),
            target_role_arn: None,
            disable_session_tags: None,
            policy: None,
            tags: Default::default(),
            allow_any_cluster: true,
            aws_road: None,
            unprobed: false,
        };
        change(&mut asked);
        let made = self.engine.create_pod_identity_association(Mutation::by(actor_of(HOME)), asked).await;
        made.unwrap().value.association
    }

    /// An issuer that is known, a role that trusts Pod Identity, and an association with it.
    pub(crate) async fn ready(&self) -> PodIdentityAssociation {
        self.knows(&[&KEY]).await;
        self.role("app", PODS_OF_DEV).await;
        self.associate(|_| {}).await
    }

    /// Lets a role of the first account assume another one.
    pub(crate) async fn lets_assume(&self, role: &str, target: &str) {
        let document = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Resource": target,
        }] });
        let policy = InlinePolicy {
            account: account(HOME),
            owner: PolicyOwner::Role(role.to_owned()),
            name: "hop".to_owned(),
            document: document.to_string(),
        };
        put(&self.store, &policy).await;
    }

    /// What a token gets its pod, asked for by its own node.
    pub(crate) async fn vend(&self, calls: &impl Vend, token: &str) -> Answer {
        calls.assume_role_for_pod_identity(node(self.cluster.uid, NODE), request(token)).await
    }

    /// The session behind credentials, as authn sees it; their secret is the session's.
    pub(crate) fn opened(&self, credentials: &SessionCredentials) -> SessionClaims {
        let opener = session_opener(self.store.keyring());
        let token = credentials.session_token.expose_secret();
        let opened = opener.open(&credentials.access_key_id, token, NOON).unwrap();
        assert_eq!(opened.secret_access_key.expose(), credentials.secret_access_key.expose_secret());
        opened.claims
    }
}

/// The stable part of a refusal.
pub(crate) fn why(answer: &Answer) -> String {
    match answer {
        Ok(_) => "vended".to_owned(),
        Err(CallError::Denied(denial)) => denial.code.to_string(),
        Err(CallError::NotFound { kind, .. }) => format!("no {kind}"),
        Err(CallError::Invalid { rule, .. }) => (*rule).to_owned(),
        Err(CallError::Fault(Fault::Throttled { retry_after: Some(_), .. })) => "throttled".to_owned(),
        Err(CallError::Fault(Fault::Unavailable { .. })) => "unavailable".to_owned(),
        Err(other) => panic!("{other:?}"),
    }
}

/// A trust policy that lets a role of the first account assume and tag, where `condition` holds.
pub(crate) fn trusting(role: &str, condition: Value) -> String {
    let mut statement = json!({
        "Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Principal": { "AWS": format!("arn:aws:iam::{HOME}:role/{role}") },
    });
    if !condition.is_null() {
        statement["Condition"] = condition;
    }
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

/// A second cluster with an issuer and a key of its own.
pub(crate) async fn another(bench: &Bench, key: &SigningKey) -> Cluster {
    let other = bench.another_cluster("prod").await;
    let pushed = documents("https://issuer.example/prod", &[key]);
    let by = Mutation::by(spoke(other.uid));
    bench.engine.push_issuer(by, "prod".parse().unwrap(), pushed).await.unwrap();
    other
}
