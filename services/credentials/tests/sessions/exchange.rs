//! Principals whom a real STS of another make vouches for (the stand-in, over TLS under AWS's own host names): who is exchanged for a
//! session, who is not, and that a proof is good once.

use std::net::IpAddr;

use lanyard_api::{
    HubId,
    authn::accounts::{InlinePolicy, PolicyOwner},
    credentials::{ExchangeCallerIdentity, ExchangedSession},
    grpc::{Door, Remote, Served},
    suite::{admitting, serve_in_process},
    voucher::{Audience, Vouchers},
};
use lanyard_aws::{
    StsClient, StsOptions,
    stand_in::{Behaviour, StandIn},
};
use lanyard_credentials::{Exchange, UnsignedConfig};
use lanyard_iam::{
    Credentials as Keys, Region, SecretAccessKey, SessionClaims, SessionToken, StsAuthority,
    token::{TOKEN_EXPIRES, TOKEN_PREFIX, mint_hub_proof, mint_token},
};
use lanyard_kit::{Clock as _, TestClock};
use lanyard_store::Record;
use time::Duration;

use super::*;

const HOST: &str = "sts.eu-west-1.amazonaws.com";
const LAB_HOST: &str = "sts.lab.example";
const LAB_ACCOUNT: &str = "444455556666";
const FROM: &str = "203.0.113.7";

struct World {
    store: Store,
    engine: Arc<Credentials>,
    clock: TestClock,
    sts: StandIn,
    hub: HubId,
}

impl World {
    async fn start(database: &TestDatabase) -> Self {
        Self::configured(database, CredentialsConfig::default()).await
    }

    async fn configured(database: &TestDatabase, config: CredentialsConfig) -> Self {
        let clock = TestClock::new(SystemClock.now().replace_nanosecond(0).unwrap());
        let store = database.open(Arc::new(clock.clone())).await;
        let sts = StandIn::start_with_clock(&[HOST, LAB_HOST], Arc::new(clock.clone())).await;
        let hub = HubId::random();
        let engine = engine(&store, &sts, hub, config);
        let world = Self { store, engine, clock, sts, hub };
        world.register(ACCOUNT, Authority::Aws).await;
        world.register(LAB_ACCOUNT, Authority::Sts("lab".to_owned())).await;
        world
    }

    /// Another replica of the service, on the same store.
    fn replica(&self) -> Arc<Credentials> {
        engine(&self.store, &self.sts, self.hub, CredentialsConfig::default())
    }

    async fn put<R: Record>(&self, record: &R) {
        let mutation = Mutation { allow_lockout: true, ..Mutation::system("test") };
        let mut transaction = self.store.begin("test", &mutation, &[record.scope()]).await.unwrap();
        transaction.put(record).await.unwrap();
        transaction.commit_unrecorded().await.unwrap();
    }

    async fn register(&self, id: &str, authority: Authority) {
        self.put(&Account {
            id: id.parse().unwrap(),
            partition: Partition::Aws,
            authority,
            name: String::new(),
            created_at: self.clock.now(),
        })
        .await;
    }

    async fn attach(&self, principal: &str) {
        let arn = PrincipalArn::parse(principal).unwrap();
        self.put(&InlinePolicy {
            account: arn.account,
            owner: PolicyOwner::Principal(arn.canonical()),
            name: "p".to_owned(),
            document: "{}".to_owned(),
        })
        .await;
    }

    /// Somebody whom the STS knows.
    fn person(&self, key: &str, arn: &str, user_id: &str) -> Keys {
        let keys = Keys {
            access_key_id: AccessKeyId::parse(key).unwrap(),
            secret_access_key: SecretAccessKey::new(format!("secret of {key}")),
            session_token: key.starts_with("ASIA").then(|| SessionToken::new("session+token/=".to_owned())),
        };
        let account = arn.split(':').nth(4).unwrap().to_owned();
        self.sts.add(&keys, &account, arn, user_id);
        keys
    }

    fn ana(&self) -> Keys {
        let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/Dev/ana@example.com");
        self.person("ASIAEXAMPLE123456789", &arn, "AROADEVDEVDEVDEVDEVDE:ana@example.com")
    }

    fn proof(&self, by: &Keys) -> ExchangeCallerIdentity {
        self.proof_for(by, self.hub)
    }

    fn proof_for(&self, by: &Keys, hub: HubId) -> ExchangeCallerIdentity {
        let region = Region::parse("eu-west-1").unwrap();
        let presigned_url = mint_hub_proof(by, HOST, &region, &hub.to_string(), self.clock.now()).unwrap();
        ExchangeCallerIdentity { presigned_url, duration_seconds: 0 }
    }

    async fn ask(&self, query: ExchangeCallerIdentity) -> Result<ExchangedSession, CallError> {
        self.engine.exchange_caller_identity(Some(FROM.parse().unwrap()), query).await
    }

    fn opened(&self, made: &ExchangedSession) -> SessionClaims {
        let session = &made.session;
        let opener = session_opener(self.store.keyring());
        let token = session.session_token.expose_secret();
        opener.open(&session.access_key_id, token, self.clock.now()).unwrap().claims
    }
}

fn engine(store: &Store, sts: &StandIn, hub: HubId, config: CredentialsConfig) -> Arc<Credentials> {
    let options = StsOptions {
        backoff_milliseconds: 1,
        attempt_milliseconds: 500,
        deadline_milliseconds: 2_000,
        ..StsOptions::default()
    };
    let exchange = Exchange {
        hub,
        region: Region::parse("eu-west-1").unwrap(),
        self_hosted: vec![StsAuthority::new("lab", LAB_HOST, Region::parse("lab").unwrap()).unwrap()],
        sts: Arc::new(StsClient::new(options, sts.http_options()).unwrap()),
    };
    Arc::new(Credentials::exchanging(store, config, exchange).unwrap())
}

fn code<T: std::fmt::Debug>(answer: Result<T, CallError>) -> String {
    match answer {
        Err(CallError::Denied(denial)) => denial.code.into_owned(),
        Err(CallError::Fault(fault)) => fault.code().to_owned(),
        Err(CallError::Replayed) => "replayed".to_owned(),
        Err(CallError::Invalid { rule, .. }) => rule.to_owned(),
        other => panic!("{other:?}"),
    }
}

const DEV: &str = "arn:aws:iam::111122223333:role/Dev";

on_each_store!(
    a_role_session_is_exchanged_for_a_session_of_its_role,
    a_user_is_exchanged_for_a_session_of_their_own,
    a_self_hosted_sts_vouches_for_its_own_accounts_at_its_own_host,
    immunity_32_a_proof_is_good_once_on_every_replica,
    immunity_32_neither_a_clusters_token_nor_a_proof_for_another_hub_is_one,
    immunity_31_an_account_is_of_its_one_authority,
    who_has_no_policies_gets_no_session_and_who_is_neither_user_nor_role_neither,
    immunity_02_nobody_is_asked_but_those_who_vouch_for_an_account,
    immunity_14_a_fault_of_sts_is_no_refusal_and_uses_up_nothing,
    immunity_05_a_proof_is_five_minutes_old_at_most,
    a_session_lasts_as_long_as_the_hub_allows,
    immunity_28_strangers_have_a_share_for_each_address,
    an_exchange_is_the_same_behind_grpc,
);

async fn a_role_session_is_exchanged_for_a_session_of_its_role(database: TestDatabase) {
    let world = World::start(&database).await;
    world.attach(DEV).await;
    let made = world.ask(world.proof(&world.ana())).await.unwrap();
    assert_eq!(made.arn, format!("arn:aws:sts::{ACCOUNT}:assumed-role/Dev/ana@example.com"));
    assert_eq!(made.user_id, "AROADEVDEVDEVDEVDEVDE:ana@example.com");
    assert_eq!((&made.authority, world.sts.calls()), (&Authority::Aws, 1));
    assert_eq!(made.session.expires_at, world.clock.now() + Duration::HOUR);
    let claims = world.opened(&made);
    assert_eq!((claims.authority.as_str(), claims.principal.to_string().as_str()), ("aws", DEV));
    assert_eq!(claims.session_arn().to_string(), made.arn);
    let registered: Account = world.store.get(Scope::Hub, ACCOUNT).await.unwrap().unwrap();
    let registered_nanoseconds = i64::try_from(registered.created_at.unix_timestamp_nanos()).unwrap();
    let account = Ancestor::Account { account: ACCOUNT.parse().unwrap(), registered_nanoseconds };
    let key = Ancestor::AccessKey("ASIAEXAMPLE123456789".parse().unwrap());
    assert_eq!(claims.ancestors, [key, account]);
}

async fn a_user_is_exchanged_for_a_session_of_their_own(database: TestDatabase) {
    let world = World::start(&database).await;
    let arn = format!("arn:aws:iam::{ACCOUNT}:user/team/bob");
    world.attach(&arn).await;
    let bob = world.person("AKIAEXAMPLE123456789", &arn, "AIDABOBBOBBOBBOBBOBBO");
    let made = world.ask(world.proof(&bob)).await.unwrap();
    assert_eq!((made.arn.as_str(), made.user_id.as_str()), (arn.as_str(), "AIDABOBBOBBOBBOBBOBBO"));
    assert_eq!(world.opened(&made).session_arn().to_string(), arn);
}

async fn a_self_hosted_sts_vouches_for_its_own_accounts_at_its_own_host(database: TestDatabase) {
    let world = World::start(&database).await;
    let (own, foreign) =
        (format!("arn:aws:iam::{LAB_ACCOUNT}:user/lea"), format!("arn:aws:iam::{ACCOUNT}:user/lea"));
    world.attach(&own).await;
    world.attach(&foreign).await;
    let at_lab = |by: &Keys| {
        let (region, hub) = (Region::parse("lab").unwrap(), world.hub.to_string());
        let presigned_url = mint_hub_proof(by, LAB_HOST, &region, &hub, world.clock.now()).unwrap();
        ExchangeCallerIdentity { presigned_url, duration_seconds: 0 }
    };
    let lea = world.person("LABKEYEXAMPLE1234567", &own, "AIDALEALEALEALEALEALE");
    let made = world.ask(at_lab(&lea)).await.unwrap();
    assert_eq!(made.authority, Authority::Sts("lab".to_owned()));
    let posing = world.person("LABKEYEXAMPLE7654321", &foreign, "AIDALEALEALEALEALEALE");
    assert_eq!(code(world.ask(at_lab(&posing)).await), "account_of_other_authority");
    assert_eq!(
        code(world.ask(world.proof(&lea)).await),
        "account_of_other_authority",
        "nor AWS for the lab's"
    );
}

async fn immunity_32_a_proof_is_good_once_on_every_replica(database: TestDatabase) {
    let world = World::start(&database).await;
    world.attach(DEV).await;
    let (ana, other) = (world.ana(), world.replica());
    let query = world.proof(&ana);
    world.ask(query.clone()).await.unwrap();
    assert_eq!(code(world.ask(query.clone()).await), "replayed");
    assert_eq!(code(other.exchange_caller_identity(None, query.clone()).await), "replayed");
    // Another spelling is the same proof.
    let respelled = query.presigned_url.expose_secret().replace("https://", "HTTPS://");
    let respelled = ExchangeCallerIdentity { presigned_url: respelled.into(), ..query };
    assert_eq!(code(other.exchange_caller_identity(None, respelled).await), "replayed");
    // At once on two replicas: one session.
    world.clock.advance(Duration::seconds(1));
    let query = world.proof(&ana);
    let (one, two) = tokio::join!(world.ask(query.clone()), other.exchange_caller_identity(None, query));
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1);
}

async fn immunity_32_neither_a_clusters_token_nor_a_proof_for_another_hub_is_one(database: TestDatabase) {
    use base64::Engine as _;
    let world = World::start(&database).await;
    world.attach(DEV).await;
    let (ana, region) = (world.ana(), Region::parse("eu-west-1").unwrap());
    let hub = world.hub.to_string();
    let token = mint_token(&ana, HOST, &region, &hub, world.clock.now(), TOKEN_EXPIRES).unwrap();
    let inside = token.expose().strip_prefix(TOKEN_PREFIX).unwrap();
    let url = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(inside).unwrap();
    for text in [String::from_utf8(url).unwrap(), token.expose().to_owned()] {
        let query = ExchangeCallerIdentity { presigned_url: text.into(), duration_seconds: 0 };
        let code = code(world.ask(query).await);
        assert!(["cluster_id_signed", "token_url"].contains(&&*code), "{code}");
    }
    assert_eq!(world.sts.calls(), 0, "nobody was asked");
    let elsewhere = world.proof_for(&ana, HubId::random());
    assert_eq!(code(world.ask(elsewhere).await), "signature_or_hub");
}

async fn immunity_31_an_account_is_of_its_one_authority(database: TestDatabase) {
    let world = World::start(&database).await;
    let stranger = world.person(
        "ASIASTRANGER12345678",
        "arn:aws:sts::999988887777:assumed-role/Dev/ana",
        "AROASTRANGERSTRANGERS:ana",
    );
    assert_eq!(code(world.ask(world.proof(&stranger)).await), "account_not_registered");
    world.register("222233334444", Authority::Local).await;
    let arn = "arn:aws:iam::222233334444:user/administrator";
    let posing = world.person("AKIAPOSING1234567890", arn, "AIDAPOSINGPOSINGPOSIN");
    assert_eq!(code(world.ask(world.proof(&posing)).await), "account_of_other_authority");
}

async fn who_has_no_policies_gets_no_session_and_who_is_neither_user_nor_role_neither(
    database: TestDatabase,
) {
    let world = World::start(&database).await;
    world.attach("arn:aws:iam::111122223333:role/dev").await;
    let refused = world.ask(world.proof(&world.ana())).await.unwrap_err();
    assert!(refused.to_string().contains(&format!("--principal {DEV}")), "{refused}");
    assert_eq!(code(Err::<(), _>(refused)), "no_policies", "the letter case counts");
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let root = world.person("AKIAROOTROOT12345678", &root, ACCOUNT);
    assert_eq!(code(world.ask(world.proof(&root)).await), "principal_kind");
}

async fn immunity_02_nobody_is_asked_but_those_who_vouch_for_an_account(database: TestDatabase) {
    let world = World::start(&database).await;
    let url = world.proof(&world.ana()).presigned_url;
    let with = |text: String| ExchangeCallerIdentity { presigned_url: text.into(), duration_seconds: 0 };
    for host in ["sts.evil.example", "127.0.0.1", "sts.cn-north-1.amazonaws.com.cn"] {
        let query = with(url.expose_secret().replace(HOST, host));
        assert_eq!(code(world.ask(query).await), "token_host", "{host}");
    }
    let local = Keys { access_key_id: "LKIAAAAAAAAAAAAAAAAA".parse().unwrap(), ..world.ana() };
    assert_eq!(code(world.ask(world.proof(&local)).await), "local_key");
    for account in [ACCOUNT, LAB_ACCOUNT] {
        let account: Account = world.store.get(Scope::Hub, account).await.unwrap().unwrap();
        world.put(&Account { authority: Authority::Local, ..account }).await;
    }
    assert_eq!(code(world.ask(with(url.expose_secret().to_owned())).await), "no_such_authority");
    assert_eq!(world.sts.calls(), 0);
    let nothing = Arc::new(Credentials::new(&world.store, CredentialsConfig::default()).unwrap());
    assert_eq!(code(nothing.exchange_caller_identity(None, with(String::new())).await), "no_exchange");
}

async fn immunity_14_a_fault_of_sts_is_no_refusal_and_uses_up_nothing(database: TestDatabase) {
    let world = World::start(&database).await;
    world.attach(DEV).await;
    let query = world.proof(&world.ana());
    for (behaviour, expected) in [
        (Behaviour::Throttled429, "throttled"),
        (Behaviour::ServerError, "unavailable"),
        (Behaviour::Hang, "timed_out"),
        (Behaviour::Redirect, "unavailable"),
        (Behaviour::HugeBody, "unavailable"),
        (Behaviour::BadJson, "unavailable"),
        (Behaviour::MixedIdentity, "unavailable"),
        (Behaviour::AnotherPartition, "unavailable"),
    ] {
        world.sts.behave(behaviour);
        assert_eq!(code(world.ask(query.clone()).await), expected, "{behaviour:?}");
    }
    world.sts.behave(Behaviour::Honest);
    world.ask(query).await.unwrap();
    world.clock.advance(Duration::seconds(1));
    world.sts.behave(Behaviour::Expired);
    assert_eq!(code(world.ask(world.proof(&world.ana())).await), "sts_expired");
}

async fn immunity_05_a_proof_is_five_minutes_old_at_most(database: TestDatabase) {
    let world = World::start(&database).await;
    world.attach(DEV).await;
    let query = world.proof(&world.ana());
    world.clock.advance(Duration::seconds(301));
    assert_eq!(code(world.ask(query).await), "proof_expired");
    assert_eq!(world.sts.calls(), 0);
}

async fn a_session_lasts_as_long_as_the_hub_allows(database: TestDatabase) {
    let world = World::start(&database).await;
    world.attach(DEV).await;
    let ask = |duration_seconds| {
        world.clock.advance(Duration::seconds(1));
        world.ask(ExchangeCallerIdentity { duration_seconds, ..world.proof(&world.ana()) })
    };
    for seconds in [899, 3_601] {
        assert_eq!(code(ask(seconds).await), "duration", "{seconds}");
    }
    let made = ask(900).await.unwrap();
    assert_eq!(made.session.expires_at, world.clock.now() + Duration::seconds(900));
}

async fn immunity_28_strangers_have_a_share_for_each_address(database: TestDatabase) {
    let few = lanyard_kit::limits::Quota { per_second: 1, burst: 2 };
    let unsigned = UnsignedConfig { per_address: few, ..UnsignedConfig::default() };
    let world =
        World::configured(&database, CredentialsConfig { unsigned, ..CredentialsConfig::default() }).await;
    let garbage = || ExchangeCallerIdentity { presigned_url: "x".into(), duration_seconds: 0 };
    let web = || lanyard_api::credentials::AssumeRoleWithWebIdentity::default();
    let (one, two): (IpAddr, IpAddr) = (FROM.parse().unwrap(), "198.51.100.9".parse().unwrap());
    assert_eq!(code(world.engine.exchange_caller_identity(Some(one), garbage()).await), "token_url");
    assert_eq!(code(world.engine.assume_role_with_web_identity(Some(one), web()).await), "session_name");
    assert_eq!(code(world.engine.exchange_caller_identity(Some(one), garbage()).await), "throttled");
    assert_eq!(code(world.engine.assume_role_with_web_identity(Some(one), web()).await), "throttled");
    assert_eq!(code(world.engine.exchange_caller_identity(Some(two), garbage()).await), "token_url");
}

async fn an_exchange_is_the_same_behind_grpc(database: TestDatabase) {
    let world = World::start(&database).await;
    world.attach(DEV).await;
    let clock = world.clock.clone();
    let now: lanyard_api::voucher::Now = Arc::new(move || clock.now());
    let vouchers = Vouchers::new([7; 32], Arc::clone(&now));
    let door = Door::vouched(vouchers.key(Audience::Credentials), now);
    let served = Served::new(Arc::clone(&world.engine), door);
    let routes = tonic::service::Routes::new(lanyard_api::credentials::server::sessions(served));
    let remote = Remote::new(admitting(serve_in_process(routes), vouchers));
    let query = world.proof(&world.ana());
    let made = remote.exchange_caller_identity(Some(FROM.parse().unwrap()), query.clone()).await.unwrap();
    assert_eq!(made.arn, format!("arn:aws:sts::{ACCOUNT}:assumed-role/Dev/ana@example.com"));
    assert_eq!(code(remote.exchange_caller_identity(None, query).await), "replayed");
}
