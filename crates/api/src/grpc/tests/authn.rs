use std::{collections::BTreeMap, net::IpAddr};

use lanyard_iam::{AccessKeyId, AccountId, TokenDigest};
use secrecy::ExposeSecret as _;

use super::{samples::*, *};
use crate::{
    Authority, CallError, Fault,
    authn::{
        Accounts, Admission, Admit, AdmitQuery, Authenticate, AuthenticateQuery, Authentication, Beside,
        Refusal, Verified,
        accounts::{
            AccessKey, Account, CallerPolicies, CreateAccount, CreateRole, CreateUser, IamRole, InlinePolicy,
            Named, NewAccessKey, OfAccount, PolicyOwner, UpdateRole, User,
        },
        instance_profiles::{
            CreateInstanceProfile, InstanceProfileDetail, InstanceProfiles, UpdateInstanceProfile,
        },
        oidc_providers::{
            CreateOidcProvider, OidcProvider, OidcProviderRef, OidcProviders, UpdateOidcProvider,
        },
    },
    credentials::{
        AssumeRole, AssumeRoleWithWebIdentity, CallerIdentity, ExchangeCallerIdentity, ExchangedSession,
        RoleSession, SessionCredentials, Sessions, WebIdentitySession,
    },
    voucher::VoucherError,
};

fake! { Accounts {
    change create_account(asked: CreateAccount) -> Mutated<Account>, CallError = mutated(account());
    change delete_account(id: AccountId) -> Mutated<Account>, CallError = mutated(account());
    ask list_accounts(query: PageQuery) -> Page<Account>, CallError = page(vec![account(), account()]);
    change create_user(asked: CreateUser) -> Mutated<User>, CallError = mutated(user());
    ask get_user(named: Named) -> User, CallError = user();
    ask list_users(of: OfAccount, query: PageQuery) -> Page<User>, CallError = page(vec![user()]);
    change tag_user(named: Named, put: BTreeMap<String, String>) -> Mutated<User>, CallError = mutated(user());
    change untag_user(named: Named, keys: Vec<String>) -> Mutated<User>, CallError = mutated(user());
    change delete_user(named: Named, only_bare: bool) -> Mutated<User>, CallError = mutated(user());
    change create_access_key(named: Named) -> Mutated<NewAccessKey>, CallError
        = mutated(NewAccessKey { key: access_key(), secret: "hush".into() });
    ask list_access_keys(named: Named) -> Vec<AccessKey>, CallError = vec![access_key()];
    ask get_access_key_info(key: AccessKeyId) -> AccountId, CallError = ACCOUNT.parse().unwrap();
    change set_access_key_active(named: Named, key: AccessKeyId, active: bool) -> Mutated<AccessKey>, CallError
        = mutated(access_key());
    change delete_access_key(named: Named, key: AccessKeyId) -> Mutated<AccessKey>, CallError = mutated(access_key());
    change create_role(asked: CreateRole) -> Mutated<IamRole>, CallError = mutated(role());
    ask get_role(named: Named) -> IamRole, CallError = IamRole { revoked_before: None, ..role() };
    ask list_roles(of: OfAccount, query: PageQuery) -> Page<IamRole>, CallError = page(vec![role()]);
    change update_role(named: Named, update: UpdateRole) -> Mutated<IamRole>, CallError = mutated(role());
    change tag_role(named: Named, put: BTreeMap<String, String>) -> Mutated<IamRole>, CallError = mutated(role());
    change untag_role(named: Named, keys: Vec<String>) -> Mutated<IamRole>, CallError = mutated(role());
    change update_trust_policy(named: Named, policy: String, any: bool) -> Mutated<IamRole>, CallError = mutated(role());
    change revoke_sessions(named: Named) -> Mutated<IamRole>, CallError = mutated(role());
    change delete_role(named: Named, only_bare: bool) -> Mutated<IamRole>, CallError = mutated(role());
    change put_policy(of: Option<AccountId>, owner: PolicyOwner, name: String, document: String)
        -> Mutated<InlinePolicy>, CallError = mutated(policy());
    ask get_policy(of: Option<AccountId>, owner: PolicyOwner, name: String) -> InlinePolicy, CallError = policy();
    ask list_policies(of: Option<AccountId>, owner: PolicyOwner) -> Vec<InlinePolicy>, CallError
        = vec![policy(), InlinePolicy { owner: PolicyOwner::Role(text("Admin")), ..policy() }];
    change delete_policy(of: Option<AccountId>, owner: PolicyOwner, name: String) -> Mutated<InlinePolicy>, CallError
        = mutated(policy());
    ask get_caller_policies() -> CallerPolicies, CallError = CallerPolicies {
        owner: PolicyOwner::User(text("ana")),
        policies: vec![policy(), InlinePolicy { name: text("q"), ..policy() }],
        session_policy: Some(text("{}")),
    };
} }

fake! { OidcProviders {
    change create_oidc_provider(asked: CreateOidcProvider) -> Mutated<OidcProvider>, CallError = mutated(oidc_provider());
    ask get_oidc_provider(of: OidcProviderRef) -> OidcProvider, CallError
        = OidcProvider { ca_bundle_pem: None, ..oidc_provider() };
    ask list_oidc_providers(of: Option<AccountId>, query: PageQuery) -> Page<OidcProvider>, CallError
        = page(vec![oidc_provider()]);
    change update_oidc_provider(of: OidcProviderRef, update: UpdateOidcProvider) -> Mutated<OidcProvider>, CallError
        = mutated(oidc_provider());
    change delete_oidc_provider(of: OidcProviderRef) -> Mutated<OidcProvider>, CallError = mutated(oidc_provider());
} }

fake! { InstanceProfiles {
    change create_instance_profile(asked: CreateInstanceProfile) -> Mutated<InstanceProfileDetail>, CallError
        = mutated(instance_profile(false));
    ask get_instance_profile(named: Named) -> InstanceProfileDetail, CallError = instance_profile(true);
    ask list_instance_profiles(of: OfAccount, query: PageQuery) -> Page<InstanceProfileDetail>, CallError
        = page(vec![instance_profile(true), instance_profile(false)]);
    ask list_instance_profiles_for_role(named: Named, query: PageQuery) -> Page<InstanceProfileDetail>, CallError
        = page(vec![instance_profile(true)]);
    change update_instance_profile(named: Named, update: UpdateInstanceProfile) -> Mutated<InstanceProfileDetail>, CallError
        = mutated(instance_profile(true));
    change delete_instance_profile(named: Named) -> Mutated<InstanceProfileDetail>, CallError
        = mutated(instance_profile(false));
} }

fake! { Sessions {
    ask assume_role(query: AssumeRole) -> RoleSession, CallError = RoleSession {
        access_key_id: "LSIAABCDEFGHIJKLMNOP".parse().unwrap(),
        secret_access_key: "hush".into(),
        session_token: "hush hush".into(),
        expires_at: moment(20),
        arn: text(SESSION),
        assumed_role_id: text("AROAX:ana"),
        packed_policy_percent: 3,
        source_identity: Some(text("ana")),
    };
    plain assume_role_with_web_identity(from: Option<IpAddr>, query: AssumeRoleWithWebIdentity)
        -> WebIdentitySession, CallError = WebIdentitySession {
        session: RoleSession {
            access_key_id: "LSIAABCDEFGHIJKLMNOP".parse().unwrap(),
            secret_access_key: "hush".into(),
            session_token: "hush hush".into(),
            expires_at: moment(20),
            arn: text(SESSION),
            assumed_role_id: text("AROAX:ana"),
            packed_policy_percent: 3,
            source_identity: Some(text("ana")),
        },
        provider: text("https://issuer.example"),
        audience: text("sts"),
        subject: text("repo:a/b"),
        source_identity: Some(text("ana")),
    };
    plain exchange_caller_identity(from: Option<IpAddr>, query: ExchangeCallerIdentity)
        -> ExchangedSession, CallError = ExchangedSession {
        session: SessionCredentials {
            access_key_id: "LSIAABCDEFGHIJKLMNOP".parse().unwrap(),
            secret_access_key: "hush".into(),
            session_token: "hush hush".into(),
            expires_at: moment(20),
        },
        arn: text(SESSION),
        user_id: text("AROAX:ana"),
        authority: Authority::Sts(text("lab")),
    };
    ask get_session_token(seconds: u32) -> SessionCredentials, CallError = SessionCredentials {
        access_key_id: "LSIAABCDEFGHIJKLMNOP".parse().unwrap(),
        secret_access_key: "hush".into(),
        session_token: "hush hush".into(),
        expires_at: moment(20),
    };
    ask get_caller_identity() -> CallerIdentity, CallError = CallerIdentity {
        account: ACCOUNT.parse().unwrap(),
        arn: text(SESSION),
        user_id: text("AROAX:ana"),
    };
} }

fn named(account: Option<&str>, name: &str) -> Named {
    Named { account: account.map(|account| account.parse().unwrap()), name: text(name) }
}

async fn account_calls<T: Accounts>(to: &T) -> Vec<String> {
    let own = || named(None, "ana");
    let other = || named(Some(ACCOUNT), "Admin");
    let of = || Some(ACCOUNT.parse().unwrap());
    let key = || KEY.parse().unwrap();
    let create_account = CreateAccount {
        id: ACCOUNT.parse().unwrap(),
        partition: "aws".parse().unwrap(),
        authority: Authority::Sts(text("corp")),
        name: text("main"),
    };
    let create_user = CreateUser { account: of(), path: text("/x/"), name: text("ana"), tags: tags(&["a"]) };
    let create_role = CreateRole {
        account: None,
        path: String::new(),
        name: text("Admin"),
        trust_policy: text("{}"),
        session_seconds_max: 7200,
        tags: tags(&["b"]),
        description: text("for people"),
        allow_any_subject: true,
    };
    let longer = UpdateRole { description: None, session_seconds_max: Some(7200) };
    let described = UpdateRole { description: Some(String::new()), session_seconds_max: None };
    answers![
        to.create_account(change(), create_account),
        to.delete_account(silent_change(), ACCOUNT.parse().unwrap()),
        to.list_accounts(actor(), some_page()),
        to.create_user(change(), create_user),
        to.get_user(actor(), other()),
        to.list_users(actor(), under("/team/"), some_page()),
        to.list_users(actor(), OfAccount::default(), PageQuery::default()),
        to.delete_user(change(), own(), false),
        to.delete_user(change(), other(), true),
        to.create_access_key(change(), other()),
        to.list_access_keys(actor(), own()),
        to.get_access_key_info(actor(), key()),
        to.set_access_key_active(change(), own(), key(), true),
        to.set_access_key_active(change(), other(), key(), false),
        to.delete_access_key(change(), own(), key()),
        to.create_role(change(), create_role),
        to.get_role(actor(), own()),
        to.list_roles(actor(), under("/"), some_page()),
        to.tag_user(change(), other(), tags(&["c"])),
        to.untag_user(change(), own(), vec![text("c")]),
        to.update_role(change(), other(), longer),
        to.update_role(change(), own(), described),
        to.tag_role(change(), own(), tags(&["d"])),
        to.untag_role(change(), other(), vec![text("d"), text("e")]),
        to.update_trust_policy(change(), other(), text("{\"a\":1}"), true),
        to.update_trust_policy(change(), own(), text("{}"), false),
        to.revoke_sessions(change(), own()),
        to.delete_role(change(), other(), false),
        to.delete_role(change(), own(), true),
        to.put_policy(change(), of(), PolicyOwner::Role(text("Admin")), text("p"), text("{}")),
        to.get_policy(actor(), of(), PolicyOwner::User(text("ana")), text("p")),
        to.list_policies(actor(), None, PolicyOwner::User(text("ana"))),
        to.list_policies(actor(), None, PolicyOwner::Principal(ROLE.parse().unwrap())),
        to.delete_policy(change(), None, PolicyOwner::User(text("ana")), text("p")),
        to.get_caller_policies(actor()),
    ]
}

async fn provider_calls<T: OidcProviders>(to: &T) -> Vec<String> {
    use UpdateOidcProvider as Update;
    let of = |account: Option<&str>| OidcProviderRef {
        account: account.map(|account| account.parse().unwrap()),
        issuer_url: text("https://issuer.example"),
    };
    let (own, other) = (|| of(None), || of(Some(ACCOUNT)));
    let whole = CreateOidcProvider {
        account: Some(ACCOUNT.parse().unwrap()),
        issuer_url: text("https://issuer.example"),
        client_ids: vec![text("a"), text("b")],
        thumbprints: vec![text("0f")],
        ca_bundle_pem: Some(text("PEM")),
        tags: tags(&["a"]),
    };
    answers![
        to.create_oidc_provider(change(), whole),
        to.create_oidc_provider(silent_change(), CreateOidcProvider::default()),
        to.get_oidc_provider(actor(), own()),
        to.list_oidc_providers(actor(), other().account, some_page()),
        to.update_oidc_provider(change(), own(), Update::AddClientId(text("c"))),
        to.update_oidc_provider(change(), other(), Update::RemoveClientId(text("a"))),
        to.update_oidc_provider(change(), own(), Update::Thumbprints(vec![text("1f")])),
        to.update_oidc_provider(change(), own(), Update::CaBundle(Some(text("PEM")))),
        to.update_oidc_provider(change(), other(), Update::CaBundle(None)),
        to.update_oidc_provider(change(), own(), Update::Tag(tags(&["x"]))),
        to.update_oidc_provider(change(), own(), Update::Untag(vec![text("x")])),
        to.delete_oidc_provider(change(), other()),
    ]
}

async fn profile_calls<T: InstanceProfiles>(to: &T) -> Vec<String> {
    use UpdateInstanceProfile as Update;
    let (own, other) = (|| named(None, "node"), || named(Some(ACCOUNT), "node"));
    let whole = CreateInstanceProfile {
        account: Some(ACCOUNT.parse().unwrap()),
        path: text("/team/"),
        name: text("node"),
        tags: tags(&["a"]),
    };
    answers![
        to.create_instance_profile(change(), whole),
        to.create_instance_profile(silent_change(), CreateInstanceProfile::default()),
        to.get_instance_profile(actor(), own()),
        to.list_instance_profiles(actor(), under("/team/"), some_page()),
        to.list_instance_profiles_for_role(actor(), other(), some_page()),
        to.update_instance_profile(change(), own(), Update::AddRole(text("Admin"))),
        to.update_instance_profile(change(), other(), Update::RemoveRole(text("Admin"))),
        to.update_instance_profile(change(), own(), Update::Tag(tags(&["x"]))),
        to.update_instance_profile(change(), own(), Update::Untag(vec![text("x")])),
        to.delete_instance_profile(change(), other()),
    ]
}

/// What of an account has paths that begin so.
fn under(path_prefix: &str) -> OfAccount {
    OfAccount { account: Some(ACCOUNT.parse().unwrap()), path_prefix: text(path_prefix) }
}

async fn session_calls<T: Sessions>(to: &T) -> Vec<String> {
    let whole = AssumeRole {
        role_arn: text(ROLE),
        session_name: text("ana"),
        duration_seconds: 900,
        tags: tags(&["a"]),
        transitive_tag_keys: vec![text("a")],
        external_id: Some(text("x")),
        source_identity: Some(text("y")),
        session_policy: Some(text("{}")),
    };
    let least = AssumeRole { role_arn: text(ROLE), session_name: text("bob"), ..AssumeRole::default() };
    let by_token = AssumeRoleWithWebIdentity {
        role_arn: text(ROLE),
        session_name: text("ana"),
        web_identity_token: "hush".into(),
        duration_seconds: 900,
        session_policy: Some(text("{}")),
    };
    answers![
        to.assume_role(actor(), whole),
        to.assume_role(actor(), least),
        to.assume_role_with_web_identity(Some("2001:db8::1".parse().unwrap()), by_token),
        to.assume_role_with_web_identity(None, AssumeRoleWithWebIdentity::default()),
        to.exchange_caller_identity(
            Some("2001:db8::1".parse().unwrap()),
            ExchangeCallerIdentity { presigned_url: "hush".into(), duration_seconds: 900 },
        ),
        to.exchange_caller_identity(None, ExchangeCallerIdentity::default()),
        to.get_session_token(actor(), 900),
        to.get_caller_identity(actor()),
    ]
}

#[tokio::test]
async fn accounts_are_the_same_over_grpc() {
    same_over_grpc!(account_calls);
}

#[tokio::test]
async fn oidc_providers_are_the_same_over_grpc() {
    same_over_grpc!(provider_calls);
}

#[tokio::test]
async fn instance_profiles_are_the_same_over_grpc() {
    same_over_grpc!(profile_calls);
}

#[tokio::test]
async fn sessions_are_the_same_over_grpc() {
    same_over_grpc!(session_calls);
}

#[tokio::test]
async fn secrets_that_are_shown_once_arrive() {
    let client = served(&Arc::default());
    let key = client.create_access_key(change(), named(None, "ana")).await.unwrap();
    assert_eq!(key.value.secret.expose_secret(), "hush");
    let query = AssumeRole { role_arn: text(ROLE), session_name: text("ana"), ..AssumeRole::default() };
    let session = client.assume_role(actor(), query).await.unwrap();
    assert_eq!(session.secret_access_key.expose_secret(), "hush");
    assert_eq!(session.session_token.expose_secret(), "hush hush");
}

const TOKEN: &str = "k8s-aws-v1.aGVsbG8";

fn verified() -> Verified {
    Verified {
        identity: Vouched::in_process(Arc::new(identity())),
        token: TokenDigest::of(TOKEN),
        not_after: moment(30),
        verifier: "local IAM".into(),
        cached: true,
        holds: Some(holds()),
    }
}

fn refusal() -> Refusal {
    Refusal {
        denial: denial("expired"),
        part: text("X-Amz-Date"),
        authority: Some(Authority::Aws),
        access_key_id: Some(KEY.parse().unwrap()),
        hints: vec![text("one"), text("two")],
    }
}

impl Authenticate for Fake {
    async fn authenticate(&self, query: AuthenticateQuery) -> Result<Authentication, Fault> {
        let AuthenticateQuery { token, digest: _, cluster, audiences, explain } = query;
        self.note(format!("{} {cluster} {audiences:?} {explain}", token.expose_secret()));
        Ok(match token.expose_secret() {
            TOKEN => Authentication::Verified(Box::new(verified())),
            "refused" => Authentication::Refused(refusal()),
            "fault" => return Err(Fault::Throttled { part: "STS".into(), retry_after: None }),
            _ => Authentication::NotOurs,
        })
    }
}

impl Admit for Fake {
    async fn admit(&self, query: AdmitQuery) -> Result<Admission, Fault> {
        self.note(written(&query));
        Ok(match &*query.authority {
            "stranger" => Admission::Unauthenticated(denial("signature")),
            "tenant" => Admission::Forbidden(denial("implicit_deny")),
            _ => Admission::Admitted(Box::new(actor())),
        })
    }
}

/// All of it: printed, it shows less.
fn written(query: &AdmitQuery) -> String {
    let AdmitQuery { method, authority, headers, body, source_ip, beside, .. } = query;
    let AdmitQuery { certificate_principal, certificate_sha256, .. } = query;
    let beside = beside.as_ref().map(|beside| (&beside.method, &beside.body));
    format!(
        "{method} {authority} {headers:?} {body:?} {source_ip:?} {certificate_principal:?} {certificate_sha256:?} {beside:?}"
    )
}

#[test]
fn immunity_27_a_call_to_admit_is_printed_without_what_it_is_signed_with() {
    let beside = Beside { method: text("/a.B/C"), body: bytes::Bytes::from_static(b"message-beside") };
    let query = AdmitQuery {
        headers: vec![(text("authorization"), text("Bearer hush-hush"))],
        body: bytes::Bytes::from_static(b"the-message"),
        beside: Some(beside),
        ..admit("hub.example", "/d.E/F")
    };
    let printed = format!("{query:?}");
    for secret in ["hush-hush", "the-message", "message-beside"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert!(["hub.example", "/d.E/F", "/a.B/C"].iter().all(|part| printed.contains(part)), "{printed}");
}

fn authenticate(token: &str) -> AuthenticateQuery {
    AuthenticateQuery {
        token: token.into(),
        digest: None,
        cluster: uid(3),
        audiences: vec![text("a")],
        explain: true,
    }
}

#[tokio::test]
async fn every_answer_to_a_token_arrives_and_an_identity_comes_with_a_voucher_for_its_cluster() {
    let fake = Arc::default();
    let client = served(&fake);
    for token in ["refused", "other"] {
        let expected = fake.authenticate(authenticate(token)).await.unwrap();
        assert_eq!(client.authenticate(authenticate(token)).await, Ok(expected), "{token}");
    }
    let fault = client.authenticate(authenticate("fault")).await;
    assert_eq!(fault, Err(Fault::Throttled { part: "STS".into(), retry_after: None }));
    let Ok(Authentication::Verified(answer)) = client.authenticate(authenticate(TOKEN)).await else {
        panic!("not verified")
    };
    let voucher = answer.identity.voucher.clone();
    assert_eq!(
        Verified { identity: Vouched::in_process(answer.identity.value.clone()), ..*answer },
        verified()
    );
    let key = vouchers().key(Audience::Mapping);
    assert_eq!(key.open(&voucher, Some(uid(3)), moment(0)), Ok(identity()));
    let oidc =
        vouchers().vouched(Vouched::in_process(oidc_identity()), Audience::Mapping, Some(uid(3))).unwrap();
    assert_eq!(key.open(&oidc.voucher, Some(uid(3)), moment(0)), Ok(oidc_identity()));
    assert_eq!(key.open::<crate::Identity>(&voucher, Some(uid(4)), moment(0)), Err(VoucherError::Mismatch));
    let asked = fake.asked.lock().unwrap();
    assert_eq!(asked.last().unwrap(), &format!("{TOKEN} {} [\"a\"] true", uid(3)));
}

fn admit(authority: &str, method: &str) -> AdmitQuery {
    AdmitQuery {
        method: text(method),
        authority: text(authority),
        headers: vec![(text("b"), text("1")), (text("a"), text("2")), (text("b"), text("3"))],
        body: bytes::Bytes::from_static(b"\x00\xff"),
        source_ip: Some("::1".parse().unwrap()),
        certificate_principal: Some(text(ROLE)),
        certificate_sha256: Some(text("5e")),
        beside: None,
    }
}

#[tokio::test]
async fn every_admission_arrives_and_an_actor_comes_with_a_voucher_for_the_service_addressed() {
    const GET_USER: &str = "/lanyard.authn.v1.Accounts/GetUser";
    const LIST_ENTRIES: &str = "/lanyard.mapping.v1.Entries/ListAccessEntries";
    let (here, there) = (Fake::default(), Arc::default());
    let client = served(&there);
    for authority in ["stranger", "tenant"] {
        let expected = here.admit(admit(authority, GET_USER)).await.unwrap();
        assert_eq!(client.admit(admit(authority, GET_USER)).await, Ok(expected), "{authority}");
    }
    assert_eq!(*here.asked.lock().unwrap(), *there.asked.lock().unwrap());
    let beside = Beside { method: text(LIST_ENTRIES), body: bytes::Bytes::from_static(b"x") };
    let asked = AdmitQuery { beside: Some(beside), ..admit("member", GET_USER) };
    let Ok(Admission::Admitted(admitted)) = client.admit(asked.clone()).await else { panic!() };
    let opened = vouchers().key(Audience::Mapping).open(&admitted.voucher, None, moment(0));
    assert_eq!(opened, Ok(actor().value), "for the service of the call that is weighed");
    assert_eq!(there.asked.lock().unwrap().last().unwrap(), &written(&asked));
    for (method, audience) in [
        (GET_USER, Audience::Authn),
        ("/lanyard.mapping.v1.Entries/DescribeAccessEntry", Audience::Mapping),
        ("/lanyard.gateway.v1.Explain/Explain", Audience::Gateway),
    ] {
        let Ok(Admission::Admitted(admitted)) = client.admit(admit("member", method)).await else {
            panic!("{method}")
        };
        let opened = vouchers().key(audience).open(&admitted.voucher, None, moment(0));
        assert_eq!(opened, Ok(actor().value), "{method}");
    }
    let elsewhere = client.admit(admit("member", "/grpc.health.v1.Health/Check")).await;
    assert_eq!(elsewhere, Err(Fault::Internal));
}
