//! People who log in by OIDC, through the engines as `serve` composes them: tokens in the shapes of the issuers that people
//! have become users, and their users open doors, or are refused by name.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends where it fails")]

use std::collections::BTreeMap;
use std::sync::Arc;

use lanyard_api::authn::{Authenticate, AuthenticateQuery, Authentication};
use lanyard_api::authz::{Attributes, Authorize, ObjectBatch, Objects, ResourceAttributes, Review, Verdict};
use lanyard_api::mapping::{
    AssociateIdentityProvider, AuthorizerMode, Cluster, Clusters, CreateCluster, IdentityProviderRef,
    IdentityProviderSettings, IdentityProviders, Resolution, Resolve, ResolveQuery,
};
use lanyard_api::{Mutation, UserInfo};
use lanyard_authn::{AuthnConfig, Engine, NotShared, Parts, bootstrap, session_opener};
use lanyard_authz::{Authz, AuthzConfig};
use lanyard_aws::{StsClient, StsOptions};
use lanyard_iam::Region;
use lanyard_kit::{Clock, TestClock, http_client};
use lanyard_mapping::{Mapping, MappingConfig};
use lanyard_oidc::stand_in::StandIn;
use lanyard_store::{EnvelopeKey, Keyed, Keyring, Store, StoreOptions, StoreUrl};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

const NOON: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);

/// The engines of one hub, with a cluster in which the group `corp:admins` may list pods.
struct Suite {
    authn: Engine,
    mapping: Mapping,
    authz: Authz,
    cluster: Cluster,
    clock: TestClock,
    _folder: tempfile::TempDir,
}

fn system() -> Mutation {
    Mutation::system("test")
}

impl Suite {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = TestClock::new(NOON);
        let url = StoreUrl::Sqlite(folder.path().join("lanyard.db"));
        let mut options = StoreOptions::new(url, Keyring::new(EnvelopeKey::random().unwrap()));
        options.clock = Arc::new(clock.clone());
        let store = Store::open(&options).await.unwrap();
        let (hub, _) = bootstrap(&store, None, Region::parse("eu-west-1").unwrap(), &()).await.unwrap();
        let config: AuthnConfig =
            serde_json::from_value(json!({"oidc": {"private_hosts": ["127.0.0.1"]}})).unwrap();
        let sts = StsClient::new(StsOptions::default(), http_client::Options::default()).unwrap();
        let account = hub.account;
        let authn = Engine::new(Parts {
            store: store.clone(),
            sessions: Keyed::following(store.keyring(), session_opener).unwrap(),
            certificates: None,
            sts: Arc::new(sts),
            shared_cache: NotShared,
            hub,
            config,
            clock: Arc::new(clock.clone()),
        })
        .unwrap();
        let mapping = Mapping::open(&store, MappingConfig::default()).await.unwrap();
        let authz = Authz::start(&store, AuthzConfig::default()).unwrap();
        let asked = CreateCluster {
            account: Some(account),
            name: "dev".to_owned(),
            id: None,
            region: "eu-west-1".to_owned(),
            endpoint: None,
            certificate_authority: None,
            authentication_mode: None,
            authorizer_mode: Some(AuthorizerMode::Full),
            trusted_accounts: Vec::new(),
            audiences: Vec::new(),
            token_cache_seconds: None,
            bootstrap_creator_admin: false,
            tags: BTreeMap::new(),
        };
        let cluster = mapping.create_cluster(system(), asked).await.unwrap().value;
        let documents = "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: pods}, rules: [{verbs: [list], apiGroups: [''], resources: [pods]}]}\n\
            ---\n\
            {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: pods}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: pods}, subjects: [{kind: Group, name: 'corp:admins', apiGroup: rbac.authorization.k8s.io}]}";
        authz.apply_objects(system(), cluster.id.clone(), ObjectBatch::of(documents)).await.unwrap();
        Self { authn, mapping, authz, cluster, clock, _folder: folder }
    }

    async fn associate(&self, issuer: &StandIn, change: impl FnOnce(&mut IdentityProviderSettings)) {
        let mut settings = IdentityProviderSettings {
            name: "corp".to_owned(),
            issuer_url: issuer.issuer().to_owned(),
            client_id: "kubernetes".to_owned(),
            username_claim: None,
            username_prefix: Some("corp:".to_owned()),
            groups_claim: Some("groups".to_owned()),
            groups_prefix: Some("corp:".to_owned()),
            required_claims: BTreeMap::new(),
            shared_audience: false,
            ca_bundle_pem: Some(issuer.ca_pem().to_owned()),
            email_verified_may_be_absent: false,
            tags: BTreeMap::new(),
        };
        change(&mut settings);
        let asked = AssociateIdentityProvider { cluster: self.cluster.id.clone(), settings };
        self.mapping.associate_identity_provider(system(), asked).await.unwrap();
    }

    /// The user that a token becomes, or the code of who refuses it: authn or mapping.
    async fn log_in(&self, issuer: &StandIn, claims: Value) -> Result<UserInfo, String> {
        let now = self.clock.now().unix_timestamp();
        let mut all = json!({"iat": now - 5, "exp": now + 3600});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let query = AuthenticateQuery {
            digest: None,
            token: issuer.mint(&all).into(),
            cluster: self.cluster.uid,
            audiences: Vec::new(),
            explain: false,
        };
        let identity = match self.authn.authenticate(query).await.unwrap() {
            Authentication::Verified(verified) => verified.identity,
            Authentication::Refused(refusal) => return Err(refusal.denial.code.into_owned()),
            Authentication::NotOurs => return Err("not_ours".to_owned()),
        };
        let query = ResolveQuery { cluster: self.cluster.uid, identity, explain: false };
        match self.mapping.resolve(query).await.unwrap() {
            Resolution::Mapped(mapped) => Ok((*mapped.user).clone()),
            Resolution::Unmapped(unmapped) => Err(unmapped.denial.code.into_owned()),
            Resolution::Blocked(_) => Err("blocked".to_owned()),
        }
    }

    async fn lists_pods(&self, user: &UserInfo) -> Verdict {
        let attributes = ResourceAttributes {
            verb: "list".into(),
            resource: "pods".into(),
            namespace: "a".into(),
            ..ResourceAttributes::default()
        };
        let review = Review {
            cluster: self.cluster.uid,
            grant: None,
            user: user.clone().into(),
            attributes: Attributes::Resource(attributes).into(),
            explain: false,
            full: false,
        };
        self.authz.authorize(review).await.unwrap().verdict
    }

    async fn disassociate(&self) {
        let named = IdentityProviderRef { cluster: self.cluster.id.clone(), name: "corp".to_owned() };
        self.mapping.disassociate_identity_provider(system(), named).await.unwrap();
    }
}

fn name(login: &Result<UserInfo, String>) -> &str {
    login.as_ref().map_or_else(String::as_str, |user| user.username.as_str())
}

#[tokio::test]
async fn okta_gives_groups_by_name_and_a_revocation_counts_at_once() {
    let (suite, issuer) = (Suite::start().await, StandIn::start("/oauth2/default").await);
    suite.associate(&issuer, |settings| settings.client_id = "0oa1client".to_owned()).await;
    let of_ana = json!({
        "ver": 1, "jti": "ID.4eAWJOCMB3SX8XewDfVR", "sub": "00uid4BxXw6I6TV4m0g3", "aud": "0oa1client", "idp": "00o1",
        "email": "ana@example.com", "email_verified": true, "groups": ["Everyone", "admins"],
    });
    let ana = suite.log_in(&issuer, of_ana.clone()).await.unwrap();
    assert_eq!(
        (ana.username.as_str(), ana.groups.as_slice()),
        ("corp:00uid4BxXw6I6TV4m0g3", &["corp:Everyone".to_owned(), "corp:admins".to_owned()][..])
    );
    assert_eq!(suite.lists_pods(&ana).await, Verdict::Allow);
    let bare = UserInfo { extra: Default::default(), ..ana.clone() };
    assert_eq!(suite.lists_pods(&bare).await, Verdict::Allow, "RBAC knows the group, whoever says so");
    suite.disassociate().await;
    assert_eq!(suite.lists_pods(&ana).await, Verdict::Deny, "though the API server has them cached");
    assert_eq!(name(&suite.log_in(&issuer, of_ana).await), "not_ours");
}

#[tokio::test]
async fn entra_id_names_groups_by_id_and_says_nothing_of_addresses() {
    let tenant = "9188040d-6c67-4c5b-b112-36a304b66dad";
    let (suite, issuer) = (Suite::start().await, StandIn::start(&format!("/{tenant}/v2.0")).await);
    let of_tenant = BTreeMap::from([("tid".to_owned(), tenant.to_owned())]);
    suite
        .associate(&issuer, |settings| {
            settings.username_claim = Some("email".to_owned());
            settings.required_claims = of_tenant;
            settings.email_verified_may_be_absent = true;
        })
        .await;
    let of_ana = |tid: &str| {
        json!({
            "aud": "kubernetes", "tid": tid, "ver": "2.0", "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
            "oid": "00000000-0000-0000-66f3-3332eca7ea81", "email": "ana@example.com", "nbf": NOON.unix_timestamp() - 5,
            "groups": ["7b8e23f5-8a1e-4d73-ae2f-8a3f0c9dd3e1"],
        })
    };
    let ana = suite.log_in(&issuer, of_ana(tenant)).await.unwrap();
    assert_eq!(
        (ana.username.as_str(), ana.groups.as_slice()),
        ("corp:ana@example.com", &["corp:7b8e23f5-8a1e-4d73-ae2f-8a3f0c9dd3e1".to_owned()][..])
    );
    assert_eq!(suite.lists_pods(&ana).await, Verdict::NoOpinion);
    assert_eq!(name(&suite.log_in(&issuer, of_ana("other")).await), "required_claim");
    // Who is in more groups than a token has room for.
    let mut overage = of_ana(tenant);
    overage.as_object_mut().unwrap().remove("groups");
    overage["_claim_names"] = json!({"groups": "src1"});
    overage["_claim_sources"] = json!({"src1": {"endpoint": "https://graph.example/ana/getMemberObjects"}});
    assert_eq!(name(&suite.log_in(&issuer, overage).await), "claim_distributed");
}

#[tokio::test]
async fn google_stands_by_addresses_of_its_own_domain() {
    let (suite, issuer) = (Suite::start().await, StandIn::start("").await);
    suite
        .associate(&issuer, |settings| {
            settings.client_id = "web.apps.example".to_owned();
            settings.username_claim = Some("email".to_owned());
            settings.username_prefix = None;
            settings.groups_claim = None;
            settings.required_claims = BTreeMap::from([("hd".to_owned(), "example.com".to_owned())]);
        })
        .await;
    let of_ana = |more: Value| {
        let mut claims = json!({
            "azp": "android.apps.example", "aud": "web.apps.example", "sub": "110169484474386276334", "hd": "example.com",
            "email": "ana@example.com", "email_verified": true,
        });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claims
    };
    let ana = suite.log_in(&issuer, of_ana(json!({}))).await.unwrap();
    assert_eq!((ana.username.as_str(), ana.groups.len()), ("ana@example.com", 0));
    assert_eq!(ana.uid, format!("oidc:{}#110169484474386276334", issuer.issuer()));
    let cases = [
        (json!({"hd": null}), "claim_missing"),
        (json!({"hd": "example.org"}), "required_claim"),
        (json!({"email_verified": false}), "email_not_verified"),
        (json!({"email_verified": null}), "email_verified_missing"),
        (json!({"aud": "other.apps.example"}), "audience"),
    ];
    for (more, code) in cases {
        assert_eq!(name(&suite.log_in(&issuer, of_ana(more.clone())).await), code, "{more}");
    }
}

#[tokio::test]
async fn keycloak_lists_clients_and_paths_of_groups() {
    let (suite, issuer) = (Suite::start().await, StandIn::start("/realms/main").await);
    suite
        .associate(&issuer, |settings| settings.username_claim = Some("preferred_username".to_owned()))
        .await;
    let of_ana = |azp: &str| {
        json!({
            "aud": ["kubernetes", "account"], "sub": "f2a7b1c0-1d7e-4a7c-9d0f-3d7f0a5a9c11", "typ": "ID", "azp": azp,
            "email_verified": false, "email": "ana@example.com", "preferred_username": "ana",
            "realm_access": {"roles": ["admin"]}, "resource_access": {"account": {"roles": ["manage-account"]}},
            "groups": ["/platform/admins", "admins"],
        })
    };
    let ana = suite.log_in(&issuer, of_ana("kubernetes")).await.unwrap();
    assert_eq!((ana.username.as_str(), ana.groups[0].as_str()), ("corp:ana", "corp:/platform/admins"));
    assert_eq!(suite.lists_pods(&ana).await, Verdict::Allow);
    assert_eq!(name(&suite.log_in(&issuer, of_ana("account")).await), "authorized_party");
}

#[tokio::test]
async fn dex_is_known_by_its_default_prefix() {
    let (suite, issuer) = (Suite::start().await, StandIn::start("/dex").await);
    suite.associate(&issuer, |settings| settings.username_prefix = None).await;
    let of_ana = json!({
        "sub": "CgNhbmESBGxkYXA", "aud": "kubernetes", "email": "ana@example.com", "email_verified": true,
        "groups": ["admins"], "federated_claims": {"connector_id": "ldap", "user_id": "ana"},
    });
    let ana = suite.log_in(&issuer, of_ana.clone()).await.unwrap();
    assert_eq!(ana.username, format!("{}#CgNhbmESBGxkYXA", issuer.issuer()));
    assert_eq!(suite.lists_pods(&ana).await, Verdict::Allow);
    suite.clock.advance(time::Duration::hours(3));
    let old = json!({"exp": NOON.unix_timestamp() + 3600});
    let mut expired = of_ana;
    expired.as_object_mut().unwrap().extend(old.as_object().unwrap().clone());
    assert_eq!(name(&suite.log_in(&issuer, expired).await), "token_expired");
    assert_eq!(suite.lists_pods(&ana).await, Verdict::Deny, "a proof has its own end");
}
