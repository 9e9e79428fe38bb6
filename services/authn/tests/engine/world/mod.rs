//! A hub for tests: a store of its own, the engine on it, a clock that stands still, and short ways to make
//! what a test is about. STS is a stand-in on loopback.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod call;
pub(crate) mod certificate;
pub(crate) mod form;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use lanyard_api::authn::accounts::{
    Account, CreateRole, CreateUser, IamRole, NewAccessKey, PolicyOwner, User,
};
use lanyard_api::authn::accounts::{Accounts, Named};
use lanyard_api::authn::{AuthenticateQuery, Authentication, Refusal, Verified};
use lanyard_api::grpc::Remote;
use lanyard_api::mapping::{AuthenticationMode, AuthorizerMode, Block, BlockTarget, Cluster};
use lanyard_api::{Authority, BlockId, ClusterUid, Fault, Mutation, Scope, TrustedAccount};
use lanyard_authn::{AuthnConfig, Engine, Hub, NotShared, Parts, SharedCache, bootstrap};
use lanyard_aws::{StsClient, stand_in::StandIn};
use lanyard_iam::session::MintingKeys;
use lanyard_iam::token::{TOKEN_EXPIRES, mint_token};
use lanyard_iam::{
    AccessKeyId, AccountId, Ancestor, Credentials, MintedSession, PrincipalArn, PrincipalId, Region,
    SecretAccessKey, SessionClaims, SessionMinter, SessionOpener, Token,
};
use lanyard_kit::{Clock, ExposeSecret as _, SystemClock, TestClock, tls};
use lanyard_store::{Keyed, Record, Store, test_support::TestDatabase};
use secrecy::SecretString;
use time::{Duration, OffsetDateTime};
use tokio::sync::watch;
use tonic::transport::Channel;

use self::form::Start;

pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const HOST: &str = "sts.eu-west-1.amazonaws.com";
pub(crate) const LAB_HOST: &str = "sts.lab.example";
/// An account whose principals AWS keeps.
pub(crate) const AWS_ACCOUNT: &str = "111122223333";
/// One that the STS of the lab keeps.
pub(crate) const LAB_ACCOUNT: &str = "444455556666";

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) store: Store,
    pub(crate) engine: Arc<Engine>,
    /// The engine behind gRPC, where that is the form to be asked.
    remote: Option<Box<Remote<Channel>>>,
    pub(crate) hub: Hub,
    pub(crate) clock: TestClock,
    pub(crate) sts: StandIn,
    pub(crate) administrator: Credentials,
    pub(crate) minter: SessionMinter,
    pub(crate) cluster: Cluster,
    /// What issues the hub's certificates.
    pub(crate) ca: tls::Authority,
    /// What judges them, in every engine here.
    pub(crate) chains: watch::Sender<Arc<tls::ChainVerifier>>,
    _pki: tempfile::TempDir,
}

pub(crate) fn account(id: &str) -> AccountId {
    AccountId::parse(id).unwrap()
}

pub(crate) fn system() -> Mutation {
    Mutation::system("test")
}

pub(crate) fn credentials_of(key: &NewAccessKey) -> Credentials {
    Credentials {
        access_key_id: key.key.id.clone(),
        secret_access_key: SecretAccessKey::new(key.secret.expose_secret().to_owned()),
        session_token: None,
    }
}

pub(crate) fn config() -> AuthnConfig {
    serde_json::from_value(serde_json::json!({
        "sts": { "backoff_milliseconds": 1, "attempt_milliseconds": 500, "deadline_milliseconds": 2000 },
        "self_hosted_sts": [{ "name": "lab", "host": LAB_HOST, "region": "lab" }],
        "oidc": { "private_hosts": ["127.0.0.1"] },
    }))
    .unwrap()
}

pub(crate) async fn world(start: impl Into<Start>) -> World {
    let Start { database, behind_grpc } = start.into();
    let clock = TestClock::new(SystemClock.now().replace_nanosecond(0).unwrap());
    let store = database.open(Arc::new(clock.clone())).await;
    let (hub, key) = bootstrap(&store, None, Region::parse(REGION).unwrap(), &()).await.unwrap();
    let administrator = credentials_of(&key.unwrap());
    let sts = StandIn::start_with_clock(&[HOST, LAB_HOST], Arc::new(clock.clone())).await;
    let keys = MintingKeys::generate(1, &SystemRandom::new()).unwrap();
    let client = StsClient::new(config().sts, sts.http_options()).unwrap();
    let pki = tempfile::tempdir().unwrap();
    let ca = tls::Authority::create(&pki.path().join("pki"), &hub.id.to_string(), clock.now()).unwrap();
    let chains = watch::Sender::new(Arc::new(tls::ChainVerifier::new(&ca.roots().unwrap()).unwrap()));
    let engine = Arc::new(engine(&store, &hub, &clock, client, &keys, chains.subscribe(), NotShared));
    let remote = behind_grpc.then(|| Box::new(form::behind_grpc(&engine, &clock)));
    let cluster = cluster_of(&hub, "dev", hub.account, clock.now());
    let world = World {
        database,
        store,
        engine,
        remote,
        administrator,
        minter: SessionMinter::new(&keys).unwrap(),
        clock,
        sts,
        cluster,
        hub,
        ca,
        chains,
        _pki: pki,
    };
    world.register(AWS_ACCOUNT, Authority::Aws).await;
    world.register(LAB_ACCOUNT, Authority::Sts("lab".to_owned())).await;
    world.put(&world.cluster).await;
    world
}

fn engine<S: SharedCache>(
    store: &Store,
    hub: &Hub,
    clock: &TestClock,
    sts: StsClient,
    keys: &MintingKeys,
    chains: tls::Live<tls::ChainVerifier>,
    shared_cache: S,
) -> Engine<S> {
    Engine::new(Parts {
        store: store.clone(),
        sessions: Keyed::fixed(SessionOpener::new(&[keys.opening_keys().unwrap()]).unwrap()),
        certificates: Some(chains),
        sts: Arc::new(sts),
        shared_cache,
        hub: hub.clone(),
        config: config(),
        clock: Arc::new(clock.clone()),
    })
    .unwrap()
}

/// A cluster that lets in its own account, AWS's and the lab's.
pub(crate) fn cluster_of(hub: &Hub, id: &str, owner: AccountId, created_at: OffsetDateTime) -> Cluster {
    let pair = |authority, account| TrustedAccount { authority, account };
    Cluster {
        uid: ClusterUid::random(),
        id: id.parse().unwrap(),
        name: id.to_owned(),
        partition: hub.partition,
        account: owner,
        region: REGION.to_owned(),
        endpoint: None,
        certificate_authority: None,
        authentication_mode: AuthenticationMode::ApiAndConfigMap,
        authorizer_mode: AuthorizerMode::WebhookFirst,
        trusted_accounts: vec![
            pair(Authority::Local, owner),
            pair(Authority::Aws, account(AWS_ACCOUNT)),
            pair(Authority::Sts("lab".to_owned()), account(LAB_ACCOUNT)),
        ],
        audiences: Vec::new(),
        token_cache_seconds: 10,
        created_by: "test".to_owned(),
        tags: BTreeMap::new(),
        created_at,
    }
}

impl World {
    /// One more engine with the store, that calls STS with this client.
    pub(crate) fn calling(&self, sts: StsClient) -> Engine {
        let keys = MintingKeys::generate(1, &SystemRandom::new()).unwrap();
        engine(&self.store, &self.hub, &self.clock, sts, &keys, self.chains.subscribe(), NotShared)
    }

    /// One more engine with the store, configured so.
    pub(crate) async fn calling_with(&self, config: serde_json::Value) -> Arc<Engine> {
        let keys = MintingKeys::generate(1, &SystemRandom::new()).unwrap();
        let config: AuthnConfig = serde_json::from_value(config).unwrap();
        let parts = Parts {
            store: self.store.clone(),
            sessions: Keyed::fixed(SessionOpener::new(&[keys.opening_keys().unwrap()]).unwrap()),
            certificates: None,
            sts: Arc::new(StsClient::new(config.sts.clone(), self.sts.http_options()).unwrap()),
            shared_cache: NotShared,
            hub: self.hub.clone(),
            config,
            clock: Arc::new(self.clock.clone()),
        };
        Arc::new(Engine::new(parts).unwrap())
    }

    /// One more engine with the store, and with a second level of the token cache.
    pub(crate) fn sharing<S: SharedCache>(&self, shared: S) -> Engine<S> {
        let keys = MintingKeys::generate(1, &SystemRandom::new()).unwrap();
        let sts = StsClient::new(config().sts, self.sts.http_options()).unwrap();
        engine(&self.store, &self.hub, &self.clock, sts, &keys, self.chains.subscribe(), shared)
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// Writes a record past every engine, as another service would.
    pub(crate) async fn put<R: Record>(&self, record: &R) {
        let mut transaction = self.store.begin("test", &lockout(), &[record.scope()]).await.unwrap();
        transaction.put(record).await.unwrap();
        transaction.commit_unrecorded().await.unwrap();
    }

    pub(crate) async fn remove<R: Record>(&self, record: &R) {
        let mut transaction = self.store.begin("test", &lockout(), &[record.scope()]).await.unwrap();
        transaction.delete::<R>(record.scope(), &record.key()).await.unwrap().unwrap();
        transaction.commit_unrecorded().await.unwrap();
    }

    pub(crate) async fn register(&self, id: &str, authority: Authority) -> AccountId {
        let id = account(id);
        let (partition, name) = (self.hub.partition, "test".to_owned());
        self.put(&Account { id, partition, authority, name, created_at: self.now() }).await;
        id
    }

    pub(crate) async fn user(&self, account: AccountId, path: &str, name: &str) -> (User, Credentials) {
        let user = CreateUser {
            account: Some(account),
            path: path.to_owned(),
            name: name.to_owned(),
            tags: BTreeMap::new(),
        };
        let user = self.engine.create_user(system(), user).await.unwrap().value;
        let key = self.key(account, name).await;
        (user, key)
    }

    pub(crate) async fn key(&self, account: AccountId, user: &str) -> Credentials {
        let named = Named { account: Some(account), name: user.to_owned() };
        credentials_of(&self.engine.create_access_key(system(), named).await.unwrap().value)
    }

    pub(crate) async fn role(&self, account: AccountId, path: &str, name: &str, trusted: &str) -> IamRole {
        let trust_policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"{trusted}"}},"Action":"sts:AssumeRole"}}]}}"#
        );
        let role = CreateRole {
            account: Some(account),
            path: path.to_owned(),
            name: name.to_owned(),
            trust_policy,
            session_seconds_max: 0,
            tags: BTreeMap::new(),
            description: String::new(),
            allow_any_subject: false,
        };
        self.engine.create_role(system(), role).await.unwrap().value
    }

    pub(crate) async fn policy(&self, account: AccountId, owner: PolicyOwner, name: &str, document: &str) {
        let by = system();
        self.engine.put_policy(by, Some(account), owner, name.to_owned(), document.to_owned()).await.unwrap();
    }

    pub(crate) async fn block(&self, scope: Scope, target: BlockTarget) -> Block {
        let block = Block {
            id: BlockId::random(),
            scope,
            target,
            reason: "test".to_owned(),
            created_by: "test".to_owned(),
            created_at: self.now(),
        };
        self.put(&block).await;
        block
    }

    /// A session of a role, as the service that mints them would make it for this user.
    pub(crate) async fn session(
        &self,
        role: &IamRole,
        user: &User,
        key: &AccessKeyId,
    ) -> (MintedSession, SessionClaims) {
        let ancestors = vec![
            Ancestor::User(PrincipalId::parse(&user.principal_id).unwrap()),
            Ancestor::AccessKey(key.clone()),
        ];
        self.session_of(role, ancestors, 0).await
    }

    pub(crate) async fn session_of(
        &self,
        role: &IamRole,
        ancestors: Vec<Ancestor>,
        chain_depth: u8,
    ) -> (MintedSession, SessionClaims) {
        let arn = format!("arn:{}:iam::{}:role{}{}", self.hub.partition, role.account, role.path, role.name);
        let claims = SessionClaims {
            authority: "local".to_owned(),
            principal: PrincipalArn::parse(&arn).unwrap(),
            principal_id: PrincipalId::parse(&role.principal_id).unwrap(),
            session_name: "ana@example.com".to_owned(),
            tags: BTreeMap::new(),
            transitive_keys: Default::default(),
            source_identity: None,
            session_policy: None,
            issued_at: self.now(),
            expires_at: self.now() + Duration::HOUR,
            revision: self.store.revision(Scope::Account(role.account)).await.unwrap().0,
            chain_depth,
            ancestors,
        };
        (self.minter.mint(&claims, &SystemRandom::new()).unwrap(), claims)
    }

    pub(crate) fn token(&self, by: &Credentials, cluster_id: &str) -> Token {
        mint_token(by, HOST, &Region::parse(REGION).unwrap(), cluster_id, self.now(), TOKEN_EXPIRES).unwrap()
    }

    pub(crate) fn query(&self, token: &str, cluster: &Cluster) -> AuthenticateQuery {
        AuthenticateQuery {
            digest: None,
            token: SecretString::from(token),
            cluster: cluster.uid,
            audiences: Vec::new(),
            explain: false,
        }
    }

    pub(crate) async fn ask(&self, token: &str, cluster: &Cluster) -> Result<Authentication, Fault> {
        self.authenticate(self.query(token, cluster)).await
    }

    /// Signs a token for a cluster with these keys, and presents it there.
    pub(crate) async fn knock(&self, by: &Credentials, cluster: &Cluster) -> Result<Authentication, Fault> {
        self.ask(self.token(by, cluster.id.as_str()).expose(), cluster).await
    }

    /// Somebody at AWS.
    pub(crate) fn aws_user(&self, name: &str) -> Credentials {
        let key = format!("AKIA{:X>16}", name.to_uppercase());
        self.at_sts(&key, AWS_ACCOUNT, &format!("arn:aws:iam::{AWS_ACCOUNT}:user/{name}"), "AIDAUSER")
    }

    pub(crate) fn at_sts(&self, key: &str, account: &str, arn: &str, user_id: &str) -> Credentials {
        let credentials = Credentials {
            access_key_id: AccessKeyId::parse(key).unwrap(),
            secret_access_key: SecretAccessKey::new(format!("secret of {key}")),
            session_token: None,
        };
        self.sts.add(&credentials, account, arn, user_id);
        credentials
    }
}

/// The store's own guard is not what these tests are about.
pub(crate) fn lockout() -> Mutation {
    Mutation { allow_lockout: true, ..system() }
}

pub(crate) fn verified(answer: Result<Authentication, Fault>) -> Box<Verified> {
    match answer {
        Ok(Authentication::Verified(verified)) => verified,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn refused(answer: Result<Authentication, Fault>) -> Refusal {
    match answer {
        Ok(Authentication::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn code(answer: Result<Authentication, Fault>) -> String {
    refused(answer).denial.code.into_owned()
}
