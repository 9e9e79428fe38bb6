//! Management calls: signed by AWS's own Rust signer or by our own channel, weighed against real policies.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends where it fails")]

mod world;

use std::net::IpAddr;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use lanyard_api::authn::accounts::{Accounts, IamRole, Named, PolicyOwner};
use lanyard_api::authn::{Admission, Admit, AdmitQuery};
use lanyard_api::mapping::{AccessEntry, BlockTarget, EntryType};
use lanyard_api::{Actor, ActorKind, Authority, Denial, EntryId, HubId, Scope};
use lanyard_iam::{
    Ancestor, CanonicalArn, Credentials, PolicyDocument, PrincipalArn, PrincipalId, SecretAccessKey,
};
use lanyard_proto::{authn::v1 as authn, credentials::v1 as credentials, mapping::v1 as mapping};
use prost::Message;
use time::Duration;
use world::{REGION, World, cluster_of, system, world};

const AUTHORITY: &str = "127.0.0.1:8444";
const DESCRIBE: &str = "/lanyard.mapping.v1.Clusters/DescribeCluster";
const CREATE_ENTRY: &str = "/lanyard.mapping.v1.Entries/CreateAccessEntry";
const DELETE_ENTRY: &str = "/lanyard.mapping.v1.Entries/DeleteAccessEntry";
const CREATE_USER: &str = "/lanyard.authn.v1.Accounts/CreateUser";
const GET_USER: &str = "/lanyard.authn.v1.Accounts/GetUser";
const LIST_ACCOUNTS: &str = "/lanyard.authn.v1.Accounts/ListAccounts";
const CREATE_ACCOUNT: &str = "/lanyard.authn.v1.Accounts/CreateAccount";
const ASSUME_ROLE: &str = "/lanyard.credentials.v1.Sessions/AssumeRole";

fn describe(cluster: &str) -> mapping::DescribeClusterRequest {
    mapping::DescribeClusterRequest { cluster: cluster.to_owned() }
}

/// How a test's call differs from an honest one.
struct Signing<'a> {
    hub: HubId,
    nonce: &'a str,
    service: &'a str,
    region: &'a str,
    at: time::OffsetDateTime,
    extra: &'a [(&'a str, &'a str)],
}

impl World {
    fn signing(&self) -> Signing<'static> {
        let nonce = "0123456789abcdef-nonce";
        Signing { hub: self.hub.id, nonce, service: "lanyard", region: REGION, at: self.now(), extra: &[] }
    }
}

/// Signed by a signer of another make.
fn sign(by: &Credentials, method: &str, body: &[u8], how: &Signing<'_>) -> AdmitQuery {
    use aws_sigv4::http_request::{
        PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign,
    };
    use aws_sigv4::sign::v4::SigningParams;
    let token = by.session_token.as_ref().map(|token| token.expose().to_owned());
    let secret = by.secret_access_key.expose();
    let identity =
        aws_credential_types::Credentials::new(by.access_key_id.as_str(), secret, token, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let at = UNIX_EPOCH + std::time::Duration::from_secs(how.at.unix_timestamp().unsigned_abs());
    let params = SigningParams::builder().identity(&identity).region(how.region).name(how.service).time(at);
    let params = params.settings(settings).build().unwrap().into();
    let hub = how.hub.to_string();
    let mut headers =
        vec![("host", AUTHORITY), ("x-lanyard-hub-id", hub.as_str()), ("x-lanyard-nonce", how.nonce)];
    headers.extend(how.extra);
    let url = format!("https://{AUTHORITY}{method}");
    let request =
        SignableRequest::new("POST", &url, headers.iter().copied(), SignableBody::Bytes(body)).unwrap();
    let (instructions, _) = sign(request, &params).unwrap().into_parts();
    let mut all: Vec<(String, String)> = vec![("content-type".to_owned(), "application/grpc".to_owned())];
    all.extend(headers[1..].iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    all.extend(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())));
    AdmitQuery {
        method: method.to_owned(),
        authority: AUTHORITY.to_owned(),
        headers: all,
        body: Bytes::copy_from_slice(body),
        source_ip: Some(IpAddr::from([10, 1, 2, 3])),
        certificate_principal: None,
    }
}

impl World {
    async fn call(&self, by: &Credentials, method: &str, message: &impl Message) -> Admission {
        self.engine.admit(sign(by, method, &message.encode_to_vec(), &self.signing())).await.unwrap()
    }

    /// A user with one inline policy.
    async fn policed(&self, name: &str, document: &str) -> Credentials {
        let (user, key) = self.user(self.hub.account, "/", name).await;
        self.policy(user.account, PolicyOwner::User(user.name), "p", document).await;
        key
    }
}

fn allow(action: &str, resource: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"Ok","Effect":"Allow","Action":"{action}","Resource":"{resource}"}}]}}"#
    )
}

fn admitted(answer: Admission) -> Actor {
    match answer {
        Admission::Admitted(actor) => actor.value,
        other => panic!("{other:?}"),
    }
}

fn forbidden(answer: Admission) -> Denial {
    match answer {
        Admission::Forbidden(denial) => denial,
        other => panic!("{other:?}"),
    }
}

fn unproven(answer: Admission) -> String {
    match answer {
        Admission::Unauthenticated(denial) => denial.code.into_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_call_of_another_make_is_admitted_as_its_signer_for_this_very_message() {
    let world = world().await;
    let request = describe("dev");
    let actor = admitted(world.call(&world.administrator, DESCRIBE, &request).await);
    let account = world.hub.account;
    assert_eq!(actor.name(), format!("arn:aws:iam::{account}:user/administrator"));
    assert_eq!(actor.action, "eks:DescribeCluster");
    assert_eq!(actor.resource, format!("arn:aws:eks:{REGION}:{account}:cluster/dev"));
    assert_eq!(actor.request_digest, lanyard_api::methods::request_digest(&request));
    assert_eq!(actor.allowed_by, "statement `Administrator` of policy `administrator`");
    assert_eq!(actor.signature, None, "a look may be repeated");
    let ActorKind::Principal { lineage, .. } = actor.kind else { panic!() };
    assert_eq!((lineage.access_key_id, lineage.chain_depth), (world.administrator.access_key_id.clone(), 0));
}

#[tokio::test]
async fn immunity_32_a_captured_signature_is_good_for_nothing_else() {
    let world = world().await;
    let body = describe("dev").encode_to_vec();
    let honest = || sign(&world.administrator, DESCRIBE, &body, &world.signing());
    let mut cases: Vec<(&str, AdmitQuery, &str)> = Vec::new();
    cases.push((
        "another method",
        AdmitQuery { method: DELETE_ENTRY.to_owned(), ..honest() },
        "signature_mismatch",
    ));
    let other_body = Bytes::from(describe("prod").encode_to_vec());
    cases.push(("another body", AdmitQuery { body: other_body, ..honest() }, "payload_hash_mismatch"));
    cases.push((
        "another host",
        AdmitQuery { authority: "evil.example".to_owned(), ..honest() },
        "signature_mismatch",
    ));
    let how = |change: &dyn Fn(&mut Signing<'_>)| {
        let mut how = world.signing();
        change(&mut how);
        sign(&world.administrator, DESCRIBE, &body, &how)
    };
    cases.push(("another hub", how(&|how| how.hub = HubId::random()), "wrong_hub"));
    cases.push(("another service", how(&|how| how.service = "eks"), "scope_service"));
    cases.push(("STS's service", how(&|how| how.service = "sts"), "scope_service"));
    cases.push(("another region", how(&|how| how.region = "us-east-1"), "scope_region"));
    cases.push(("old", how(&|how| how.at -= Duration::seconds(301)), "signature_too_old"));
    cases.push(("from the future", how(&|how| how.at += Duration::seconds(301)), "signature_from_future"));
    cases.push(("short nonce", how(&|how| how.nonce = "short"), "nonce"));
    cases.push((
        "a cluster's id signed",
        how(&|how| how.extra = &[("x-k8s-aws-id", "dev")]),
        "cluster_token",
    ));
    let set = |name: &str, value: &str| {
        let mut query = honest();
        query.headers.retain(|(key, _)| key != name);
        query.headers.push((name.to_owned(), value.to_owned()));
        query
    };
    cases.push(("a swapped hub id", set("x-lanyard-hub-id", &HubId::random().to_string()), "wrong_hub"));
    cases.push(("a swapped nonce", set("x-lanyard-nonce", "fedcba9876543210"), "signature_mismatch"));
    cases.push(("another host header", set("host", "evil.example"), "host"));
    let without = |name: &str| {
        let mut query = honest();
        query.headers.retain(|(key, _)| key != name);
        query
    };
    cases.push(("no nonce", without("x-lanyard-nonce"), "nonce"));
    cases.push(("no hub id", without("x-lanyard-hub-id"), "wrong_hub"));
    cases.push(("no date", without("x-amz-date"), "date_missing"));
    cases.push(("no content hash", without("x-amz-content-sha256"), "signed_header_missing"));
    cases.push(("no signature", without("authorization"), "unsigned"));
    let mut doubled = honest();
    doubled.headers.push(("x-lanyard-hub-id".to_owned(), world.hub.id.to_string()));
    cases.push(("two hub ids", doubled, "wrong_hub"));
    let mut certificate = honest();
    certificate.certificate_principal = Some("arn:aws:iam::111122223333:user/ana".to_owned());
    cases.push(("a certificate", certificate, "certificate_principal"));
    for (what, query, code) in cases {
        assert_eq!(unproven(world.engine.admit(query).await.unwrap()), code, "{what}");
    }
    admitted(world.engine.admit(honest()).await.unwrap());
}

#[tokio::test]
async fn immunity_32_a_clusters_token_proves_no_call_and_a_calls_signature_no_token() {
    let world = world().await;
    let token = world.token(&world.administrator, "dev");
    let with_token = AdmitQuery {
        method: format!("{DESCRIBE}?{}", token.expose()),
        ..sign(&world.administrator, DESCRIBE, b"", &world.signing())
    };
    assert_eq!(unproven(world.engine.admit(with_token).await.unwrap()), "signature_mismatch");
    let bearer = AdmitQuery {
        headers: vec![
            ("authorization".to_owned(), format!("Bearer {}", token.expose())),
            ("x-lanyard-hub-id".to_owned(), world.hub.id.to_string()),
            ("x-lanyard-nonce".to_owned(), "0123456789abcdef".to_owned()),
        ],
        ..sign(&world.administrator, DESCRIBE, b"", &world.signing())
    };
    let code = unproven(world.engine.admit(bearer).await.unwrap());
    assert!(code.starts_with("malformed_authorization") || code == "algorithm", "{code}");
}

#[tokio::test]
async fn immunity_32_a_mutations_signature_is_one_use_and_a_session_too() {
    let world = world().await;
    let entry = mapping::CreateAccessEntryRequest { cluster: "dev".to_owned(), ..Default::default() };
    let body = entry.encode_to_vec();
    let admit = |nonce: &'static str| {
        let how = Signing { nonce, ..world.signing() };
        world.engine.admit(sign(&world.administrator, CREATE_ENTRY, &body, &how))
    };
    let first = admitted(admit("0123456789abcdef").await.unwrap()).signature.unwrap();
    let again = admitted(admit("0123456789abcdef").await.unwrap()).signature.unwrap();
    let other = admitted(admit("fedcba9876543210").await.unwrap()).signature.unwrap();
    assert_eq!(first, again, "the same call is the same use");
    assert_ne!(first.digest, other.digest);
    assert_eq!(first.expires_at, world.now() + Duration::minutes(10));
    let role = world
        .role(
            world.hub.account,
            "/",
            "Dev",
            &format!("arn:aws:iam::{}:user/administrator", world.hub.account),
        )
        .await;
    let assume = assume(&world, &role);
    assert!(admitted(world.call(&world.administrator, ASSUME_ROLE, &assume).await).signature.is_some());
}

#[tokio::test]
async fn keys_that_do_not_count_are_named() {
    let world = world().await;
    let key = world.policed("ana", &allow("*", "*")).await;
    let unknown = world.aws_user("ana");
    assert_eq!(unproven(world.call(&unknown, DESCRIBE, &describe("dev")).await), "unknown_key");
    let guess = Credentials { secret_access_key: SecretAccessKey::new("guess".to_owned()), ..key.clone() };
    assert_eq!(unproven(world.call(&guess, DESCRIBE, &describe("dev")).await), "signature_mismatch");
    let named = Named { account: Some(world.hub.account), name: "ana".to_owned() };
    world.engine.set_access_key_active(system(), named, key.access_key_id.clone(), false).await.unwrap();
    assert_eq!(unproven(world.call(&key, DESCRIBE, &describe("dev")).await), "inactive_key");
}

#[tokio::test]
async fn a_blocked_caller_is_refused_whatever_their_policies_say() {
    let world = world().await;
    let key = world.policed("ana", &allow("*", "*")).await;
    let canonical_arn = CanonicalArn::parse(&format!("arn:aws:iam::{}:user/ana", world.hub.account)).unwrap();
    for scope in [Scope::Hub, Scope::Account(world.hub.account)] {
        let target =
            BlockTarget::Principal { authority: Authority::Local, canonical_arn: canonical_arn.clone() };
        let block = world.block(scope, target).await;
        assert_eq!(forbidden(world.call(&key, DESCRIBE, &describe("dev")).await).code, "blocked", "{scope}");
        world.remove(&block).await;
    }
    admitted(world.call(&key, DESCRIBE, &describe("dev")).await);
}

#[tokio::test]
async fn policies_decide_and_the_refusal_names_the_statement_or_its_lack() {
    let world = world().await;
    let account = world.hub.account;
    let cluster = format!("arn:aws:eks:{REGION}:{account}:cluster/dev");
    let statement = |effect: &str, rest: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"Ok","Effect":"Allow","Action":"eks:*","Resource":"*"}},{{"Sid":"Second","Effect":"{effect}",{rest}}}]}}"#
        )
    };
    let conditioned = |condition: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"Ok","Effect":"Allow","Action":"eks:DescribeCluster","Resource":"*","Condition":{condition}}}]}}"#
        )
    };
    type Refusal = Option<(&'static str, &'static str)>;
    let cases: Vec<(&str, String, Refusal)> = vec![
        ("no-policy", allow("iam:*", "*"), Some(("implicit_deny", "no statement"))),
        ("exact", allow("eks:DescribeCluster", &cluster), None),
        (
            "other-resource",
            allow("eks:DescribeCluster", &format!("{cluster}2")),
            Some(("implicit_deny", "other resources")),
        ),
        (
            "deny",
            statement("Deny", r#""Action":"eks:Describe*","Resource":"*""#),
            Some(("explicit_deny", "`Second` of policy `p`")),
        ),
        ("not-action", statement("Deny", r#""NotAction":"eks:DescribeCluster","Resource":"*""#), None),
        ("ip", conditioned(r#"{"IpAddress":{"aws:SourceIp":"10.1.0.0/16"}}"#), None),
        (
            "other-ip",
            conditioned(r#"{"IpAddress":{"aws:SourceIp":"10.2.0.0/16"}}"#),
            Some(("implicit_deny", "`aws:SourceIp`")),
        ),
        ("date", conditioned(r#"{"DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}"#), None),
        (
            "late",
            conditioned(r#"{"DateLessThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}"#),
            Some(("implicit_deny", "`aws:CurrentTime`")),
        ),
        ("arn", conditioned(r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/a*"}}"#), None),
        ("tag", conditioned(r#"{"StringEquals":{"aws:ResourceTag/env":"test"}}"#), None),
        (
            "other-tag",
            conditioned(r#"{"StringEquals":{"aws:ResourceTag/env":"live"}}"#),
            Some(("implicit_deny", "aws:ResourceTag/env")),
        ),
    ];
    let mut cluster = world.cluster.clone();
    cluster.tags.insert("env".to_owned(), "test".to_owned());
    world.put(&cluster).await;
    for (name, document, refusal) in cases {
        let key = world.policed(&format!("a-{name}"), &document).await;
        let answer = world.call(&key, DESCRIBE, &describe("dev")).await;
        match refusal {
            None => drop(admitted(answer)),
            Some((code, words)) => {
                let denial = forbidden(answer);
                assert_eq!(denial.code, code, "{name}: {denial}");
                assert!(denial.message.contains(words), "{name}: {denial}");
            }
        }
    }
}

#[tokio::test]
async fn a_calls_own_words_are_condition_keys_and_an_entry_is_named_by_its_arn() {
    let world = world().await;
    let document = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":"eks:*","Resource":"*"},
        {"Sid":"NoMasters","Effect":"Deny","Action":"eks:CreateAccessEntry","Resource":"*",
         "Condition":{"ForAnyValue:StringLike":{"eks:kubernetesGroups":"admin*"}}},
        {"Sid":"KeepBo","Effect":"Deny","Action":"eks:DeleteAccessEntry","Resource":"arn:aws:eks:*:*:access-entry/*/bo/*"}]}"#;
    let key = world.policed("ana", document).await;
    let create = |groups: &[&str]| mapping::CreateAccessEntryRequest {
        cluster: "dev".to_owned(),
        principal_arn: "arn:aws:iam::111122223333:role/Dev".to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..Default::default()
    };
    admitted(world.call(&key, CREATE_ENTRY, &create(&["viewers"])).await);
    let denial = forbidden(world.call(&key, CREATE_ENTRY, &create(&["viewers", "admins"])).await);
    assert!(denial.message.contains("`NoMasters`"), "{denial}");
    let entry = AccessEntry {
        id: EntryId::random(),
        cluster: world.cluster.uid,
        authority: Authority::Aws,
        principal_arn: PrincipalArn::parse("arn:aws:iam::111122223333:user/team/bo").unwrap(),
        principal_id: None,
        entry_type: EntryType::Standard,
        username: "bo".to_owned(),
        groups: Vec::new(),
        tags: Default::default(),
        ends_at: None,
        created_at: world.now(),
        modified_at: world.now(),
    };
    world.put(&entry).await;
    let delete = |arn: &str| mapping::DeleteAccessEntryRequest {
        cluster: "dev".to_owned(),
        principal_arn: arn.to_owned(),
        ..Default::default()
    };
    let denial =
        forbidden(world.call(&key, DELETE_ENTRY, &delete("arn:aws:iam::111122223333:user/team/bo")).await);
    assert!(
        denial.message.contains("`KeepBo`") && denial.message.contains(&entry.id.to_string()),
        "{denial}"
    );
    admitted(world.call(&key, DELETE_ENTRY, &delete("arn:aws:iam::111122223333:user/cy")).await);
}

#[tokio::test]
async fn immunity_33_star_on_star_reaches_no_other_account_and_what_is_there_looks_like_nothing() {
    let world = world().await;
    let tenant = world.register("222233334444", Authority::Local).await;
    let (user, key) = world.user(tenant, "/", "mallory").await;
    world.policy(tenant, PolicyOwner::User(user.name), "all", &allow("*", "*")).await;
    let foreign = admitted(world.call(&key, DESCRIBE, &describe("dev")).await);
    let absent = admitted(world.call(&key, DESCRIBE, &describe("nothing")).await);
    assert_eq!(
        foreign.resource.replace("/dev", ""),
        absent.resource.replace("/nothing", ""),
        "alike, and in their own account"
    );
    assert!(foreign.resource.contains(&tenant.to_string()));
    let create = |account: Option<String>| authn::CreateUserRequest {
        account,
        name: "x".to_owned(),
        ..Default::default()
    };
    admitted(world.call(&key, CREATE_USER, &create(None)).await);
    for account in [world.hub.account.to_string(), "999988887777".to_owned()] {
        let denial = forbidden(world.call(&key, CREATE_USER, &create(Some(account))).await);
        assert_eq!(denial.code, "other_account", "there or not: {denial}");
    }
    let register = authn::CreateAccountRequest { id: "999988887777".to_owned(), ..Default::default() };
    assert_eq!(forbidden(world.call(&key, CREATE_ACCOUNT, &register).await).code, "other_account");
    let list = authn::ListAccountsRequest::default();
    let own = admitted(world.call(&key, LIST_ACCOUNTS, &list).await);
    let seen =
        world.engine.list_accounts(lanyard_api::Vouched::in_process(own), Default::default()).await.unwrap();
    assert_eq!(seen.items.iter().map(|account| account.id).collect::<Vec<_>>(), [tenant]);
    let own = admitted(world.call(&world.administrator, LIST_ACCOUNTS, &list).await);
    let seen =
        world.engine.list_accounts(lanyard_api::Vouched::in_process(own), Default::default()).await.unwrap();
    assert_eq!(seen.items.len(), 4);
    // A hub operator makes the first user of another account; a lesser principal of the hub's account does not.
    let operator =
        admitted(world.call(&world.administrator, CREATE_USER, &create(Some(tenant.to_string()))).await);
    assert_eq!(operator.resource, world.hub.arn());
    let lesser =
        world.policed("lesser", &allow("*", &format!("arn:aws:*:*:{}:user/*", world.hub.account))).await;
    assert_eq!(
        forbidden(world.call(&lesser, CREATE_USER, &create(Some(tenant.to_string()))).await).code,
        "implicit_deny"
    );
    admitted(world.call(&lesser, CREATE_USER, &create(None)).await);
}

#[tokio::test]
async fn a_deny_on_a_user_is_not_walked_around_by_spelling() {
    let world = world().await;
    world.user(world.hub.account, "/team/", "Boss").await;
    let document = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"iam:*","Resource":"*"}},
            {{"Effect":"Deny","Action":"iam:*","Resource":"arn:aws:iam::{}:user/team/Boss"}}]}}"#,
        world.hub.account
    );
    let key = world.policed("ana", &document).await;
    let get = |name: &str| authn::GetUserRequest { account: None, name: name.to_owned() };
    assert_eq!(forbidden(world.call(&key, GET_USER, &get("Boss")).await).code, "explicit_deny");
    let other = admitted(world.call(&key, GET_USER, &get("boss")).await);
    let named = Named { account: None, name: "boss".to_owned() };
    let missing = world.engine.get_user(lanyard_api::Vouched::in_process(other), named).await;
    assert!(missing.is_err(), "another spelling names nobody");
}

fn assume(world: &World, role: &IamRole) -> credentials::AssumeRoleRequest {
    credentials::AssumeRoleRequest {
        role_arn: format!("arn:{}:iam::{}:role{}{}", world.hub.partition, role.account, role.path, role.name),
        session_name: "ana".to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn assuming_a_role_weighs_both_sides_as_iam_does() {
    let world = world().await;
    let home = world.hub.account;
    let away = world.register("222233334444", Authority::Local).await;
    let ana = world.policed("ana", &allow("iam:GetUser", "*")).await;
    let bo = world.policed("bo", &allow("sts:AssumeRole", "*")).await;
    let itself = world.role(home, "/team/", "Itself", &format!("arn:aws:iam::{home}:user/ana")).await;
    let by_account = world.role(home, "/", "ByAccount", &home.to_string()).await;
    let cross = world.role(away, "/", "Cross", &home.to_string()).await;
    let cross_named = world.role(away, "/", "CrossNamed", &format!("arn:aws:iam::{home}:user/ana")).await;
    let nobody = world.role(home, "/", "Nobody", "arn:aws:iam::999988887777:root").await;
    let gone = IamRole { name: "Gone".to_owned(), ..nobody.clone() };
    let other_path = IamRole { path: "/".to_owned(), ..itself.clone() };
    let cases = [
        ("named itself, same account", &ana, &itself, true),
        ("named by its account, without identity policy", &ana, &by_account, false),
        ("named by its account, with identity policy", &bo, &by_account, true),
        ("not named", &bo, &itself, false),
        ("across accounts, with identity policy", &bo, &cross, true),
        ("across accounts, named but without identity policy", &ana, &cross_named, false),
        ("trusts somebody else", &bo, &nobody, false),
        ("is not there", &bo, &gone, false),
        ("another path", &ana, &other_path, false),
    ];
    let mut texts = std::collections::BTreeSet::new();
    for (what, by, role, expected) in cases {
        match world.call(by, ASSUME_ROLE, &assume(&world, role)).await {
            Admission::Admitted(actor) => {
                assert!(expected, "{what}");
                assert_eq!(actor.value.resource, assume(&world, role).role_arn, "{what}");
            }
            Admission::Forbidden(denial) => {
                assert!(!expected, "{what}: {denial}");
                let who = denial
                    .message
                    .replace(&assume(&world, role).role_arn, "R")
                    .replace("user/ana", "user/bo");
                texts.insert((denial.code.into_owned(), who));
            }
            other => panic!("{what}: {other:?}"),
        }
    }
    assert_eq!(
        texts.len(),
        1,
        "immunity_58: a role that is not there is refused as one that does not let: {texts:?}"
    );
}

#[tokio::test]
async fn tags_and_a_source_identity_need_permissions_of_their_own() {
    let world = world().await;
    let home = world.hub.account;
    let ana = world.policed("ana", &allow("iam:GetUser", "*")).await;
    let role = world.role(home, "/", "Dev", &format!("arn:aws:iam::{home}:user/ana")).await;
    let plain = assume(&world, &role);
    let tagged =
        credentials::AssumeRoleRequest { tags: [("a".to_owned(), "b".to_owned())].into(), ..plain.clone() };
    let named = credentials::AssumeRoleRequest { source_identity: Some("ana".to_owned()), ..plain.clone() };
    admitted(world.call(&ana, ASSUME_ROLE, &plain).await);
    for request in [&tagged, &named] {
        assert_eq!(forbidden(world.call(&ana, ASSUME_ROLE, request).await).code, "access_denied");
    }
    let trust = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{home}:user/ana"}},
            "Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"],
            "Condition":{{"StringEquals":{{"sts:ExternalId":"x1"}}}}}}]}}"#
    );
    let of_role = Named { account: Some(home), name: "Dev".to_owned() };
    world.engine.update_trust_policy(system(), of_role, trust).await.unwrap();
    assert_eq!(
        forbidden(world.call(&ana, ASSUME_ROLE, &tagged).await).code,
        "access_denied",
        "without the external id"
    );
    for request in [&tagged, &named] {
        let with_id =
            credentials::AssumeRoleRequest { external_id: Some("x1".to_owned()), ..request.clone() };
        admitted(world.call(&ana, ASSUME_ROLE, &with_id).await);
    }
}

#[tokio::test]
async fn a_session_acts_with_its_roles_policies_and_its_own_policy_narrows_them() {
    let world = world().await;
    let home = world.hub.account;
    let (user, key) = world.user(home, "/", "ana").await;
    let role = world.role(home, "/team/", "Dev", "*").await;
    world.policy(home, PolicyOwner::Role("Dev".to_owned()), "eks", &allow("eks:*", "*")).await;
    let (plain, mut claims) = world.session(&role, &user, &key.access_key_id).await;
    let actor = admitted(world.call(&plain.credentials, DESCRIBE, &describe("dev")).await);
    assert_eq!(actor.name(), format!("arn:aws:sts::{home}:assumed-role/Dev/ana@example.com"));
    let ActorKind::Principal { lineage, principal_id, .. } = actor.kind else { panic!() };
    assert_eq!((lineage.chain_depth, principal_id), (1, role.principal_id.clone()));
    assert_eq!(
        lineage.ancestors,
        [format!("user/{}", user.principal_id), format!("key/{}", key.access_key_id)]
    );
    claims.session_policy = Some(PolicyDocument::parse_session(&allow("eks:ListClusters", "*")).unwrap());
    let random = aws_lc_rs::rand::SystemRandom::new();
    let narrowed = world.minter.mint(&claims, &random).unwrap().credentials;
    let denial = forbidden(world.call(&narrowed, DESCRIBE, &describe("dev")).await);
    assert!(denial.message.contains("session policy"), "{denial}");
    admitted(
        world
            .call(
                &narrowed,
                "/lanyard.mapping.v1.Clusters/ListClusters",
                &mapping::ListClustersRequest::default(),
            )
            .await,
    );
    // Its tags are the principal's, in place of the role's own.
    claims.session_policy = None;
    claims.tags.insert("team".to_owned(), "blue".to_owned());
    claims.transitive_keys.insert("team".to_owned());
    let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalTag/team":"blue"}}}]}"#;
    world.policy(home, PolicyOwner::Role("Dev".to_owned()), "team", document).await;
    let tagged = world.minter.mint(&claims, &random).unwrap().credentials;
    let actor = admitted(world.call(&tagged, DESCRIBE, &describe("dev")).await);
    let ActorKind::Principal { lineage, .. } = actor.kind else { panic!() };
    assert_eq!(lineage.transitive_tags.get("team").map(String::as_str), Some("blue"));
    assert_eq!(
        forbidden(world.call(&plain.credentials, DESCRIBE, &describe("dev")).await).code,
        "explicit_deny"
    );
}

#[tokio::test]
async fn immunity_36_a_session_whose_ancestor_is_gone_admits_nothing() {
    let world = world().await;
    let home = world.hub.account;
    let (user, key) = world.user(home, "/", "ana").await;
    let role = world.role(home, "/", "Dev", "*").await;
    world.policy(home, PolicyOwner::Role("Dev".to_owned()), "eks", &allow("eks:*", "*")).await;
    let ancestors = vec![
        Ancestor::User(PrincipalId::parse(&user.principal_id).unwrap()),
        Ancestor::AccessKey(key.access_key_id),
    ];
    let (session, _) = world.session_of(&role, ancestors, 0).await;
    admitted(world.call(&session.credentials, DESCRIBE, &describe("dev")).await);
    world.engine.delete_user(system(), Named { account: Some(home), name: "ana".to_owned() }).await.unwrap();
    assert_eq!(
        unproven(world.call(&session.credentials, DESCRIBE, &describe("dev")).await),
        "session_ancestor_gone"
    );
}

#[tokio::test]
async fn what_cannot_be_read_or_passes_no_door_is_told_after_the_signature_alone() {
    let world = world().await;
    let bad = |method: &str, body: &[u8]| sign(&world.administrator, method, body, &world.signing());
    let garbage = forbidden(world.engine.admit(bad(DESCRIBE, &[0xff; 7])).await.unwrap());
    assert_eq!(garbage.code, "invalid_request");
    let internal = bad("/lanyard.authn.v1.Authenticate/Authenticate", b"");
    assert_eq!(forbidden(world.engine.admit(internal).await.unwrap()).code, "unknown_method");
    let mut unsigned = bad(DESCRIBE, &[0xff; 7]);
    unsigned.headers.retain(|(name, _)| name != "authorization");
    assert_eq!(unproven(world.engine.admit(unsigned).await.unwrap()), "unsigned");
}

#[tokio::test]
async fn immunity_58_a_foreign_and_an_absent_cluster_are_refused_in_the_same_words() {
    let world = world().await;
    let tenant = world.register("222233334444", Authority::Local).await;
    world.put(&cluster_of(&world.hub, "theirs", tenant, world.now())).await;
    let key = world.policed("ana", &allow("eks:DescribeCluster", "arn:aws:eks:*:*:cluster/dev")).await;
    let text = async |cluster: &str| {
        forbidden(world.call(&key, DESCRIBE, &describe(cluster)).await).to_string().replace(cluster, "X")
    };
    assert_eq!(text("theirs").await, text("absent").await);
}
