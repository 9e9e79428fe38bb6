//! A hub whose account has an OIDC provider: a real issuer, with discovery and keys over TLS on loopback.

use lanyard_api::{
    OidcProviderId,
    authn::oidc_providers::OidcProvider,
    credentials::{AssumeRoleWithWebIdentity, WebIdentityRefusal, WebIdentitySession},
};
use lanyard_iam::SessionClaims;
use lanyard_kit::{Clock as _, TestClock};
use lanyard_oidc::stand_in::StandIn;
use lanyard_store::Record;
use serde_json::{Value, json};

use super::*;

pub(super) const CLIENT_ID: &str = "sts.amazonaws.com";
pub(super) const RUNNER: &str = "203.0.113.7";

pub(super) struct World {
    pub(super) store: Store,
    pub(super) engine: Arc<Credentials>,
    pub(super) clock: TestClock,
    pub(super) issuer: StandIn,
}

impl World {
    pub(super) async fn start(database: &TestDatabase) -> Self {
        Self::configured(database, CredentialsConfig::default()).await
    }

    pub(super) async fn configured(database: &TestDatabase, mut config: CredentialsConfig) -> Self {
        let clock = TestClock::new(SystemClock.now());
        let store = database.open(Arc::new(clock.clone())).await;
        config.oidc.private_hosts.push("127.0.0.1".to_owned());
        let engine = Arc::new(Credentials::new(&store, config).unwrap());
        let world = Self { store, engine, clock, issuer: StandIn::start("/ci").await };
        world
            .put(&Account {
                id: ACCOUNT.parse().unwrap(),
                partition: Partition::Aws,
                authority: Authority::Local,
                name: String::new(),
                created_at: world.clock.now(),
            })
            .await;
        world.put(&world.provider()).await;
        world
    }

    pub(super) async fn put<R: Record>(&self, record: &R) {
        let mutation = Mutation { allow_lockout: true, ..Mutation::system("test") };
        let mut transaction = self.store.begin("test", &mutation, &[record.scope()]).await.unwrap();
        transaction.put(record).await.unwrap();
        transaction.commit_unrecorded().await.unwrap();
    }

    pub(super) async fn remove<R: Record>(&self, record: &R) {
        let mut transaction =
            self.store.begin("test", &Mutation::system("test"), &[record.scope()]).await.unwrap();
        transaction.delete::<R>(record.scope(), &record.key()).await.unwrap().unwrap();
        transaction.commit_unrecorded().await.unwrap();
    }

    pub(super) fn provider(&self) -> OidcProvider {
        OidcProvider {
            id: OidcProviderId::random(),
            account: ACCOUNT.parse().unwrap(),
            issuer_url: self.issuer.issuer().to_owned(),
            client_ids: vec!["other".to_owned(), CLIENT_ID.to_owned()],
            thumbprints: Vec::new(),
            ca_bundle_pem: Some(self.issuer.ca_pem().to_owned()),
            tags: BTreeMap::new(),
            created_at: self.clock.now(),
        }
    }

    /// What comes before a claim in a condition key.
    pub(super) fn name(&self) -> &str {
        self.issuer.issuer().trim_start_matches("https://")
    }

    /// A role `dev` that the issuer's people may assume under this condition, in which `ISSUER` stands for the issuer.
    pub(super) async fn role(&self, actions: &str, condition: &str) {
        let trust_policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":{actions},
                "Principal":{{"Federated":"arn:aws:iam::{ACCOUNT}:oidc-provider/{}"}},"Condition":{}}}]}}"#,
            self.name(),
            condition.replace("ISSUER", self.name())
        );
        self.put(&IamRole {
            account: ACCOUNT.parse().unwrap(),
            path: "/team/".to_owned(),
            name: "dev".to_owned(),
            principal_id: "AROAAAAAAAAAAAAAAAAAA".to_owned(),
            trust_policy,
            trusted_ids: Default::default(),
            session_seconds_max: 7_200,
            revoked_before: None,
            tags: [("stage".to_owned(), "live".to_owned())].into(),
            description: String::new(),
            created_at: self.clock.now(),
        })
        .await;
    }

    pub(super) async fn role_for(&self, subjects: &str) {
        self.role(r#""sts:AssumeRoleWithWebIdentity""#, &for_subjects(subjects)).await;
    }

    pub(super) fn claims(&self, extra: Value) -> Value {
        let now = self.clock.now().unix_timestamp();
        let mut claims = json!({"aud": CLIENT_ID, "iat": now, "nbf": now, "exp": now + 300});
        claims.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        claims
    }

    pub(super) fn query(&self, extra: Value) -> AssumeRoleWithWebIdentity {
        by_token(&self.issuer.mint(&self.claims(extra)))
    }

    pub(super) async fn knock(
        &self,
        query: AssumeRoleWithWebIdentity,
    ) -> Result<WebIdentitySession, CallError> {
        self.engine.assume_role_with_web_identity(Some(RUNNER.parse().unwrap()), query).await
    }

    pub(super) async fn ask(&self, extra: Value) -> Result<WebIdentitySession, CallError> {
        self.knock(self.query(extra)).await
    }

    pub(super) fn opened(&self, made: &WebIdentitySession) -> SessionClaims {
        let token = made.session.session_token.expose_secret();
        let opener = session_opener(self.store.keyring());
        opener.open(&made.session.access_key_id, token, self.clock.now()).unwrap().claims
    }
}

pub(super) fn by_token(token: &str) -> AssumeRoleWithWebIdentity {
    AssumeRoleWithWebIdentity {
        role_arn: ROLE_ARN.to_owned(),
        session_name: "run-17".to_owned(),
        web_identity_token: token.into(),
        ..AssumeRoleWithWebIdentity::default()
    }
}

pub(super) fn for_subjects(subjects: &str) -> String {
    format!(r#"{{"StringLike":{{"ISSUER:sub":{subjects}}},"StringEquals":{{"ISSUER:aud":"{CLIENT_ID}"}}}}"#)
}

/// STS's error, by its code here; or the rule of a wrong parameter.
pub(super) fn code(answer: &Result<WebIdentitySession, CallError>) -> &str {
    match answer {
        Ok(_) => "ok",
        Err(CallError::Denied(denial)) => &denial.code,
        Err(CallError::Invalid { rule, .. }) => rule,
        Err(CallError::Fault(_)) => "fault",
        Err(other) => panic!("{other}"),
    }
}

pub(super) const INVALID: &str = WebIdentityRefusal::InvalidToken.code();
pub(super) const DENIED: &str = WebIdentityRefusal::AccessDenied.code();
