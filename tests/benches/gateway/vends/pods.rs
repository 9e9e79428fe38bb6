//! A cluster with an issuer, a role for the pods of one of its ServiceAccounts, and a node that may ask for these pods.

use anyhow::{Context as _, Result};
use lanyard_api::authn::accounts::{Accounts as _, CreateUser, Named, PolicyOwner};
use lanyard_api::credentials::{
    Associations as _, AssumeRole, IssuerDocuments, POD_IDENTITY_AUDIENCE, Sessions as _, Workloads as _,
};
use lanyard_api::grpc::admitted_at_the_door;
use lanyard_api::mapping::{Clusters as _, Node as BoundNode};
use lanyard_api::{ClusterId, HubId, Mutation};
use lanyard_iam::{Credentials, SecretAccessKey, SessionToken};
use lanyard_kit::ExposeSecret as _;
use lanyard_oidc::Algorithm;
use lanyard_oidc::stand_in::SigningKey;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::door::front_door;
use crate::hub::Hub;
use crate::roles::{associated, pod_role, role};
use crate::world::{self, World};

/// Of the ServiceAccount whose pods are vended to.
const NAMESPACE: &str = "shop";
const SERVICE_ACCOUNT: &str = "cart";
/// The node's name in the cluster.
const NODE: &str = "node-a.ec2.internal";
/// The name of the machine's sessions, by which it is that node.
const INSTANCE: &str = "i-0123456789abcdef0";
/// What the cluster's tokens say of their issuer.
const ISSUER: &str = "https://issuer.bench.example";
/// The role of the pods.
const ROLE: &str = "app";

/// The node, and the key that its cluster's tokens are signed by.
pub(super) struct Node {
    key: SigningKey,
    /// Of the machine.
    machine: Credentials,
    role_arn: String,
    hub: HubId,
}

impl Node {
    /// Makes all of it, as operators and the spoke service do.
    pub(super) async fn set_up(hub: &Hub, world: &World) -> Result<Self> {
        let door = front_door(&hub.ready, world.hub, &world.administrator)?;
        let by = || Mutation::by(admitted_at_the_door());
        let cluster: ClusterId = world::cluster_id(0).parse()?;
        let key = SigningKey::generate(Algorithm::Rs256, "bench");
        let jwks = json!({ "keys": [key.jwk()] }).to_string();
        let documents = IssuerDocuments { issuer_url: ISSUER.to_owned(), jwks };
        door.push_issuer(by(), cluster.clone(), documents).await?;

        door.create_role(by(), pod_role(ROLE)).await?;
        let association = associated(cluster.clone(), world.account, ROLE, NAMESPACE, SERVICE_ACCOUNT);
        door.create_pod_identity_association(by(), association).await?;

        let user = CreateUser {
            account: None,
            path: "/".to_owned(),
            name: "machine".to_owned(),
            tags: Default::default(),
        };
        door.create_user(by(), user).await?;
        let made = door.create_access_key(by(), Named { account: None, name: "machine".to_owned() }).await?;
        let made = made.value;
        let machine = json!({ "AWS": format!("arn:aws:iam::{}:user/machine", world.account) });
        door.create_role(by(), role("nodes", &machine, &["sts:AssumeRole"])).await?;
        let may_vend = statement("eks-auth:AssumeRoleForPodIdentity");
        let owner = PolicyOwner::Role("nodes".to_owned());
        door.put_policy(by(), None, owner, "vend".to_owned(), may_vend).await?;
        let role_arn = format!("arn:aws:iam::{}:role/nodes", world.account);
        let bound = BoundNode {
            cluster: *world.clusters.first().context("a world without clusters")?,
            instance_id: INSTANCE.to_owned(),
            private_dns_name: NODE.to_owned(),
            role_arn: Some(role_arn.clone()),
            access_key_id: Some(made.key.id.clone()),
        };
        door.set_node(by(), cluster, bound).await?;
        let machine = Credentials {
            access_key_id: made.key.id,
            secret_access_key: SecretAccessKey::new(made.secret.expose_secret().to_owned()),
            session_token: None,
        };
        Ok(Self { key, machine, role_arn, hub: world.hub })
    }

    /// The session that the node signs with.
    pub(super) async fn session(&self, hub: &Hub) -> Result<Credentials> {
        let door = front_door(&hub.ready, self.hub, &self.machine)?;
        let asked = AssumeRole {
            role_arn: self.role_arn.clone(),
            session_name: INSTANCE.to_owned(),
            ..AssumeRole::default()
        };
        let session = door.assume_role(admitted_at_the_door(), asked).await?;
        Ok(Credentials {
            access_key_id: session.access_key_id,
            secret_access_key: SecretAccessKey::new(session.secret_access_key.expose_secret().to_owned()),
            session_token: Some(SessionToken::new(session.session_token.expose_secret().to_owned())),
        })
    }

    /// A token of each of so many pods.
    pub(super) fn tokens(&self, pods: usize) -> impl Iterator<Item = String> {
        (0..pods).map(|number| self.key.mint(&claims(number)))
    }
}

/// What an API server writes into the token of a pod.
pub(super) fn claims(number: usize) -> Value {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let uid = |kind: u8| format!("0b4c7a1e-000{kind}-4000-8000-{number:012}");
    json!({
        "aud": [POD_IDENTITY_AUDIENCE],
        "exp": now + 86_400,
        "iat": now,
        "iss": ISSUER,
        "jti": uid(0),
        "nbf": now,
        "sub": format!("system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}"),
        "kubernetes.io": {
            "namespace": NAMESPACE,
            "node": { "name": NODE, "uid": uid(1) },
            "pod": { "name": format!("{SERVICE_ACCOUNT}-{number}"), "uid": uid(2) },
            "serviceaccount": { "name": SERVICE_ACCOUNT, "uid": "0b4c7a1e-0003-4000-8000-000000000000" },
        },
    })
}

/// The issuer of these.
pub(super) fn issuer() -> &'static str {
    ISSUER
}

/// A policy document that allows one thing everywhere.
fn statement(action: &str) -> String {
    let statement = json!({ "Effect": "Allow", "Action": action, "Resource": "*" });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}
