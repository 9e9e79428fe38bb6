//! Calls of the AWS wire: what a signature proves there, and what it does not.

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use lanyard_api::Denial;
use lanyard_api::authn::accounts::{InlinePolicy, PolicyOwner};
use lanyard_api::authn::{AdmitAwsQuery, AwsAdmission, AwsAdmitted};
use lanyard_api::aws_wire::AwsError;
use lanyard_iam::{Credentials, token::TOKEN_AGE_MAX};
use lanyard_proto::mapping::v1 as mapping;
use prost::Message as _;

use crate::promises::in_each_form;
use crate::world::call::allow;
use crate::world::form::Start;
use crate::world::{REGION, World, cluster_of, world};

const AUTHORITY: &str = "127.0.0.1:8445";

/// A request, and how its signature differs from an honest one.
struct Sent<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    body: &'a [u8],
    service: &'a str,
    region: &'a str,
    headers: &'a [(&'a str, &'a str)],
    presigned: bool,
}

fn get(path: &str) -> Sent<'_> {
    Sent {
        method: "GET",
        path,
        query: "",
        body: b"",
        service: "eks",
        region: REGION,
        headers: &[],
        presigned: false,
    }
}

fn who_am_i() -> Sent<'static> {
    Sent { query: "Action=GetCallerIdentity&Version=2011-06-15", service: "sts", ..get("/") }
}

/// Signed by a signer of another make.
fn sign(world: &World, by: &Credentials, sent: &Sent<'_>) -> AdmitAwsQuery {
    use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
    use aws_sigv4::sign::v4::SigningParams;
    let token = by.session_token.as_ref().map(|token| token.expose().to_owned());
    let secret = by.secret_access_key.expose();
    let identity =
        aws_credential_types::Credentials::new(by.access_key_id.as_str(), secret, token, None, "test").into();
    let mut settings = SigningSettings::default();
    if sent.presigned {
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(std::time::Duration::from_secs(60));
    }
    let at = UNIX_EPOCH + std::time::Duration::from_secs(world.now().unix_timestamp().unsigned_abs());
    let params = SigningParams::builder().identity(&identity).region(sent.region).name(sent.service).time(at);
    let params = params.settings(settings).build().unwrap().into();
    let mut headers = vec![("host", AUTHORITY)];
    headers.extend(sent.headers);
    let line = if sent.query.is_empty() { String::new() } else { format!("?{}", sent.query) };
    let url = format!("https://{AUTHORITY}{}{line}", sent.path);
    let body = SignableBody::Bytes(sent.body);
    let request = SignableRequest::new(sent.method, &url, headers.iter().copied(), body).unwrap();
    let (instructions, _) = sign(request, &params).unwrap().into_parts();
    let mut all: Vec<(String, String)> =
        headers[1..].iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    all.extend(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())));
    let encoded = |text: &str| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
    };
    let mut query = sent.query.to_owned();
    for (name, value) in instructions.params() {
        query.push_str(if query.is_empty() { "" } else { "&" });
        query.push_str(&format!("{name}={}", encoded(value)));
    }
    AdmitAwsQuery {
        method: sent.method.to_owned(),
        path: sent.path.to_owned(),
        query,
        authority: AUTHORITY.to_owned(),
        headers: all,
        body: Bytes::copy_from_slice(sent.body),
        source_ip: None,
    }
}

async fn send(world: &World, by: &Credentials, sent: &Sent<'_>) -> AwsAdmission {
    world.admit_aws(sign(world, by, sent)).await.unwrap()
}

fn admitted(answer: AwsAdmission) -> AwsAdmitted {
    match answer {
        AwsAdmission::Admitted(admitted) => *admitted,
        other => panic!("{other:?}"),
    }
}

fn unproven(answer: AwsAdmission) -> String {
    match answer {
        AwsAdmission::Unauthenticated(denial) => denial.code.into_owned(),
        other => panic!("{other:?}"),
    }
}

fn forbidden(answer: AwsAdmission) -> Denial {
    match answer {
        AwsAdmission::Forbidden(denial) => denial,
        other => panic!("{other:?}"),
    }
}

fn wrong(answer: AwsAdmission) -> AwsError {
    match answer {
        AwsAdmission::Wrong(error) => error,
        other => panic!("{other:?}"),
    }
}

in_each_form! {
    a_signed_request_is_admitted_as_the_management_call_that_it_is,
    a_cluster_is_one_of_the_callers_own_account_and_region,
    immunity_33_another_accounts_cluster_is_not_there,
    immunity_45_what_was_not_signed_so_is_refused,
    immunity_36_a_session_that_has_ended_proves_nobody,
    immunity_45_only_the_service_that_was_signed_for_owns_the_operation,
    immunity_32_a_client_token_says_who_its_maker_is_and_nothing_else,
    which_policies_one_has_everybody_may_ask_the_sts_that_denies_it_by_a_statement_alone,
    a_presigned_question_counts_as_long_as_a_client_token_whatever_lifetime_it_gives_itself,
    a_page_token_is_of_one_caller_and_one_list,
    a_list_of_one_thing_is_weighed_as_the_action_that_aws_has_for_it,
    a_refusal_is_worded_as_aws_words_it,
    immunity_58_a_refusal_tells_nothing_of_what_is_there,
    a_mutating_signature_goes_with_its_actor_and_a_reading_one_does_not,
}

async fn a_signed_request_is_admitted_as_the_management_call_that_it_is(start: Start) {
    let world = world(start).await;
    let name = &world.cluster.name;
    let arn = "arn:aws:iam::111122223333:role/team/Dev";
    let path = format!("/clusters/{name}/access-entries/{}", arn.replace(':', "%3A").replace('/', "%2F"));
    let found = admitted(send(&world, &world.administrator, &get(&path)).await);
    assert_eq!(found.method, "/lanyard.mapping.v1.Entries/DescribeAccessEntry");
    let message = mapping::DescribeAccessEntryRequest::decode(found.message.clone()).unwrap();
    assert_eq!((message.cluster.as_str(), message.principal_arn.as_str()), (world.cluster.id.as_str(), arn));
    assert_eq!(found.actor.value.action, "eks:DescribeAccessEntry");
    assert_eq!(found.actor.value.request_digest, lanyard_api::methods::request_digest(&message));
    // The permission is that of the operation, on the entry's ARN.
    let ana = world.policed("ana", &allow("eks:ListAccessEntries", "*")).await;
    let denial = forbidden(send(&world, &ana, &get(&path)).await);
    assert_eq!(denial.code, "implicit_deny");
    let list = format!("/clusters/{name}/access-entries");
    admitted(send(&world, &ana, &get(&list)).await);
    // A call that breaks a rule of its form is told so, once its caller is known.
    let error = wrong(send(&world, &ana, &Sent { query: "maxResults=0", ..get(&list) }).await);
    assert_eq!((error.code.as_ref(), error.status), ("InvalidParameterException", 400));
    assert_eq!(wrong(send(&world, &ana, &get("/nothing")).await).code, "UnknownOperationException");
}

async fn a_list_of_one_thing_is_weighed_as_the_action_that_aws_has_for_it(start: Start) {
    let world = world(start).await;
    let ana = world.policed("ana", &allow("iam:ListUserTags", "*")).await;
    let ask = async |action: &str| {
        let body = format!("Action={action}&Version=2010-05-08&UserName=ana");
        let sent = Sent { method: "POST", body: body.as_bytes(), service: "iam", ..get("/") };
        send(&world, &ana, &sent).await
    };
    // The method that answers it answers more: the door gives of it what was asked for.
    let found = admitted(ask("ListUserTags").await);
    assert_eq!(found.method, "/lanyard.authn.v1.Accounts/GetUser");
    for other in ["GetUser", "ListGroupsForUser", "ListAttachedUserPolicies"] {
        let denial = forbidden(ask(other).await);
        assert_eq!(denial.code, "implicit_deny", "{other}");
        assert!(denial.message.contains(&format!("allows the iam:{other} action")), "{denial}");
    }
}

async fn immunity_36_a_session_that_has_ended_proves_nobody(start: Start) {
    let world = world(start).await;
    let (user, key) = world.user(world.hub.account, "/", "ana").await;
    let trusted = format!("arn:aws:iam::{}:root", world.hub.account);
    let role = world.role(world.hub.account, "/", "Dev", &trusted).await;
    let (minted, claims) = world.session(&role, &user, &key.access_key_id).await;
    let list_users = Sent { query: "Action=ListUsers&Version=2010-05-08", service: "iam", ..get("/") };
    admitted(send(&world, &minted.credentials, &who_am_i()).await);
    world.clock.advance(claims.expires_at - world.now() + time::Duration::SECOND);
    for sent in [get("/clusters"), list_users, who_am_i()] {
        let service = sent.service;
        assert_eq!(unproven(send(&world, &minted.credentials, &sent).await), "session_expired", "{service}");
    }
}

async fn a_refusal_is_worded_as_aws_words_it(start: Start) {
    let world = world(start).await;
    let account = world.hub.account;
    let name = &world.cluster.name;
    let cluster = format!("arn:aws:eks:{REGION}:{account}:cluster/{name}");
    let statement = |rest: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"eks:List*","Resource":"*"}},{{"Sid":"Two",{rest}}}]}}"#
        )
    };
    let allow_none = statement(r#""Effect":"Allow","Action":"iam:GetUser","Resource":"*""#);
    let deny = statement(r#""Effect":"Deny","Action":"eks:Describe*","Resource":"*""#);
    let conditioned = statement(
        r#""Effect":"Allow","Action":"eks:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}"#,
    );
    let cases = [
        (
            "none",
            &allow_none,
            " because no identity-based policy allows the eks:DescribeCluster action",
            "no statement",
        ),
        (
            "deny",
            &deny,
            " with an explicit deny in an identity-based policy",
            "statement `Two` of policy `p`",
        ),
        (
            "bool",
            &conditioned,
            " because no identity-based policy allows the eks:DescribeCluster action",
            "`Bool` on `aws:SecureTransport`",
        ),
    ];
    for (user, document, because, why) in cases {
        let key = world.policed(user, document).await;
        let denial = forbidden(send(&world, &key, &get(&format!("/clusters/{name}"))).await);
        let begins = format!(
            "User: arn:aws:iam::{account}:user/{user} is not authorized to perform: eks:DescribeCluster on resource: {cluster}{because} ("
        );
        assert!(denial.message.starts_with(&begins), "{denial}");
        assert!(denial.message.contains(why), "{denial}");
    }
}

async fn immunity_58_a_refusal_tells_nothing_of_what_is_there(start: Start) {
    let world = world(start).await;
    let account = world.hub.account;
    world.put(&crate::policies::entry_of(&world, "boss")).await;
    let key = world.policed("ana", &allow("eks:ListClusters", "*")).await;
    let refusal = async |name: &str| {
        let path = format!(
            "/clusters/{}/access-entries/arn%3Aaws%3Aiam%3A%3A{account}%3Arole%2F{name}",
            world.cluster.name
        );
        forbidden(send(&world, &key, &get(&path)).await).message
    };
    let (there, missing) = (refusal("boss").await, refusal("none").await);
    assert!(there.contains("/boss/* because"), "{there}");
    assert_eq!(there.replace("boss", "none"), missing, "one that is there looks as one that is not");
}

async fn a_cluster_is_one_of_the_callers_own_account_and_region(start: Start) {
    let world = world(start).await;
    let path = format!("/clusters/{}", world.cluster.name);
    let elsewhere = Sent { region: "eu-central-1", ..get(&path) };
    let denial = forbidden(send(&world, &world.administrator, &elsewhere).await);
    assert_eq!(denial.code, "unknown_cluster", "there are regions, and this one has no such cluster");
    // Who may not ask for it hears nothing of whether it is there.
    let ana = world.policed("ana", &allow("eks:ListClusters", "*")).await;
    for path in [path.as_str(), "/clusters/none"] {
        assert_eq!(forbidden(send(&world, &ana, &get(path)).await).code, "implicit_deny", "{path}");
    }
    // The ARN that policies are held against has the name that was asked for.
    let arn = format!("arn:{}:eks:{REGION}:{}:cluster/none", world.hub.partition, world.hub.account);
    let bo = world.policed("bo", &allow("eks:DescribeCluster", &arn)).await;
    assert_eq!(forbidden(send(&world, &bo, &get("/clusters/none")).await).code, "unknown_cluster");
}

async fn immunity_33_another_accounts_cluster_is_not_there(start: Start) {
    let world = world(start).await;
    let other = world.register("777788889999", lanyard_api::Authority::Local).await;
    let (user, eve) = world.user(other, "/", "eve").await;
    let owner = PolicyOwner::User(user.name);
    world.policy(other, owner, "p", &allow("*", "*")).await;
    // By its name, and by its id, which is the name of none of eve's own.
    for name in [world.cluster.name.as_str(), world.cluster.id.as_str()] {
        let denial = forbidden(send(&world, &eve, &get(&format!("/clusters/{name}"))).await);
        assert_eq!(denial.code, "unknown_cluster", "{name}");
    }
    // A cluster of the same name is eve's own, whatever its id is.
    let mut own = cluster_of(&world.hub, "another-id", other, world.now());
    own.name.clone_from(&world.cluster.name);
    world.put(&own).await;
    let path = format!("/clusters/{}", world.cluster.name);
    let found = admitted(send(&world, &eve, &get(&path)).await);
    let message = mapping::DescribeClusterRequest::decode(found.message).unwrap();
    assert_eq!(message.cluster, "another-id");
}

async fn immunity_45_what_was_not_signed_so_is_refused(start: Start) {
    let world = world(start).await;
    let by = &world.administrator;
    let path = format!("/clusters/{}/access-entries", world.cluster.name);
    let body: &[u8] = br#"{"principalArn":"arn:aws:iam::111122223333:user/ana"}"#;
    let create = || Sent { method: "POST", body, ..get(&path) };
    admitted(send(&world, by, &create()).await);
    let alter = async |change: &dyn Fn(&mut AdmitAwsQuery)| {
        let mut query = sign(&world, by, &create());
        change(&mut query);
        unproven(world.admit_aws(query).await.unwrap())
    };
    assert_eq!(alter(&|query| query.body = Bytes::from_static(b"{}")).await, "signature_mismatch");
    assert_eq!(alter(&|query| query.path.push('x')).await, "signature_mismatch");
    assert_eq!(alter(&|query| query.query.push_str("a=b")).await, "signature_mismatch");
    assert_eq!(alter(&|query| query.method = "PUT".to_owned()).await, "signature_mismatch");
    assert_eq!(alter(&|query| query.authority = "other:1".to_owned()).await, "signature_mismatch");
    assert_eq!(alter(&|query| query.headers.clear()).await, "unsigned");
    let added = |name: &'static str, value: &'static str| {
        move |query: &mut AdmitAwsQuery| query.headers.push((name.to_owned(), value.to_owned()))
    };
    assert_eq!(alter(&added("x-amz-content-sha256", "UNSIGNED-PAYLOAD")).await, "unsigned_payload");
    assert_eq!(alter(&added("x-amz-target", "x")).await, "header_not_signed");
    assert_eq!(alter(&added("host", "other")).await, "host");
    assert_eq!(alter(&added("x-amz-date", "20260101T000000Z")).await, "duplicate_header");
    for claimed in ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"] {
        let headers = [("x-amz-content-sha256", claimed)];
        let answer = send(&world, by, &Sent { headers: &headers, ..create() }).await;
        assert_eq!(unproven(answer), "unsigned_payload", "though it is signed: {claimed}");
    }
    // A signature in the query can be handed on: it asks who its maker is, and nothing else.
    assert_eq!(unproven(send(&world, by, &Sent { presigned: true, ..create() }).await), "presigned");
    assert_eq!(unproven(send(&world, by, &Sent { presigned: true, ..get(&path) }).await), "presigned");
    admitted(send(&world, by, &Sent { presigned: true, ..who_am_i() }).await);
    let in_query = sign(&world, by, &Sent { presigned: true, ..create() }).query;
    assert_eq!(alter(&|query| query.query.clone_from(&in_query)).await, "signed_twice");
}

async fn immunity_45_only_the_service_that_was_signed_for_owns_the_operation(start: Start) {
    let world = world(start).await;
    let by = &world.administrator;
    let path = format!("/clusters/{}", world.cluster.name);
    let code = async |sent: Sent<'_>| match send(&world, by, &sent).await {
        AwsAdmission::Unauthenticated(denial) => denial.code.into_owned(),
        AwsAdmission::Wrong(error) => error.code.into_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(code(Sent { service: "sts", ..get(&path) }).await, "InvalidAction");
    assert_eq!(code(Sent { service: "eks", ..who_am_i() }).await, "UnknownOperationException");
    assert_eq!(code(Sent { service: "iam", ..who_am_i() }).await, "InvalidAction");
    assert_eq!(code(Sent { service: "eks-auth", ..get(&path) }).await, "UnknownOperationException");
    for service in ["lanyard", "s3", "EKS", "eks_auth"] {
        assert_eq!(code(Sent { service, ..get(&path) }).await, "scope_service", "{service}");
    }
    for region in ["cn-north-1", "us-gov-west-1", "mars-1", "nowhere"] {
        assert_eq!(code(Sent { region, ..get(&path) }).await, "scope_region", "{region}");
    }
}

async fn immunity_32_a_client_token_says_who_its_maker_is_and_nothing_else(start: Start) {
    let world = world(start).await;
    let headers = [("x-k8s-aws-id", world.cluster.id.as_str())];
    let by = &world.administrator;
    let found = admitted(send(&world, by, &Sent { headers: &headers, presigned: true, ..who_am_i() }).await);
    assert_eq!(found.method, "/lanyard.credentials.v1.Sessions/GetCallerIdentity");
    let path = format!("/clusters/{}", world.cluster.name);
    let answer = send(&world, by, &Sent { headers: &headers, ..get(&path) }).await;
    assert_eq!(unproven(answer), "cluster_token");
    // Everybody may ask, whatever their policies say; a block stops them all the same.
    let deny = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;
    let ana = world.policed("ana", deny).await;
    admitted(send(&world, &ana, &who_am_i()).await);
}

async fn which_policies_one_has_everybody_may_ask_the_sts_that_denies_it_by_a_statement_alone(start: Start) {
    let world = world(start).await;
    let asked = || Sent { query: "Action=GetCallerPolicies&Version=2011-06-15", service: "sts", ..get("/") };
    let (_, ana) = world.user(world.hub.account, "/", "ana").await;
    let found = admitted(send(&world, &ana, &asked()).await);
    assert_eq!(found.method, "/lanyard.authn.v1.Accounts/GetCallerPolicies");
    assert_eq!(found.actor.value.action, "lanyard:GetCallerPolicies");
    let presigned = send(&world, &ana, &Sent { presigned: true, ..asked() }).await;
    assert_eq!(unproven(presigned), "presigned");
    let deny = allow("lanyard:GetCallerPolicies", "*").replace("Allow", "Deny");
    let bob = world.policed("bob", &deny).await;
    let AwsAdmission::Forbidden(denial) = send(&world, &bob, &asked()).await else { panic!() };
    assert_eq!(denial.code, "explicit_deny");
    assert!(denial.message.starts_with("User: arn:"), "{denial}");
    assert!(denial.message.contains("perform: lanyard:GetCallerPolicies on resource: "), "{denial}");
    assert!(denial.message.ends_with("an identity-based policy (statement `Ok` of policy `p`)"), "{denial}");
    // Where no statement says so, the refusal names the action that policies know all the same.
    let (owner, name) = (PolicyOwner::User("ana".to_owned()), "broken".to_owned());
    world.put(&InlinePolicy { account: world.hub.account, owner, name, document: "{".to_owned() }).await;
    let AwsAdmission::Forbidden(denial) = send(&world, &ana, &asked()).await else { panic!() };
    assert_eq!(denial.code, "policy_unreadable");
    assert!(denial.message.contains("perform: lanyard:GetCallerPolicies: policy `broken`"), "{denial}");
}

async fn a_presigned_question_counts_as_long_as_a_client_token_whatever_lifetime_it_gives_itself(
    start: Start,
) {
    let world = world(start).await;
    let headers = [("x-k8s-aws-id", world.cluster.id.as_str())];
    let token =
        sign(&world, &world.administrator, &Sent { headers: &headers, presigned: true, ..who_am_i() });
    assert!(token.query.contains("X-Amz-Expires=60"), "{}", token.query);
    // A signature's date has whole seconds.
    world.clock.advance(TOKEN_AGE_MAX - time::Duration::SECOND);
    admitted(world.admit_aws(token.clone()).await.unwrap());
    world.clock.advance(time::Duration::seconds(2));
    assert_eq!(unproven(world.admit_aws(token).await.unwrap()), "signature_too_old");
}

async fn a_page_token_is_of_one_caller_and_one_list(start: Start) {
    let world = world(start).await;
    let path = format!("/clusters/{}/access-entries", world.cluster.name);
    let key = admitted(send(&world, &world.administrator, &get(&path)).await).page_key.unwrap();
    let token = key.seal("the last one");
    let next = format!("nextToken={token}&maxResults=7");
    let found = admitted(send(&world, &world.administrator, &Sent { query: &next, ..get(&path) }).await);
    let page = mapping::ListAccessEntriesRequest::decode(found.message).unwrap().page.unwrap();
    assert_eq!((page.token.as_str(), page.items_max), ("the last one", 7));
    let ana = world.policed("ana", &allow("*", "*")).await;
    let refused = [
        wrong(send(&world, &ana, &Sent { query: &next, ..get(&path) }).await),
        wrong(send(&world, &world.administrator, &Sent { query: &next, ..get("/clusters") }).await),
        wrong(
            send(
                &world,
                &world.administrator,
                &Sent { query: &format!("associatedPolicyArn=x&{next}"), ..get(&path) },
            )
            .await,
        ),
        wrong(send(&world, &world.administrator, &Sent { query: "nextToken=AAAA", ..get(&path) }).await),
    ];
    for error in refused {
        assert_eq!(error.code, "InvalidParameterException", "{error}");
        assert!(error.message.starts_with("nextToken"), "{error}");
    }
    let path = format!("/clusters/{}", world.cluster.name);
    let found = admitted(send(&world, &world.administrator, &get(&path)).await);
    assert_eq!(found.page_key, None, "what has no pages has no key for them");
}

async fn a_mutating_signature_goes_with_its_actor_and_a_reading_one_does_not(start: Start) {
    let world = world(start).await;
    let path = format!(
        "/clusters/{}/access-entries/arn%3Aaws%3Aiam%3A%3A111122223333%3Auser%2Fana",
        world.cluster.name
    );
    let delete = Sent { method: "DELETE", ..get(&path) };
    let first = admitted(send(&world, &world.administrator, &delete).await).actor.value.signature;
    let again = admitted(send(&world, &world.administrator, &delete).await).actor.value.signature;
    assert!(first.is_some() && first == again, "the same request of one second is known again");
    assert_eq!(admitted(send(&world, &world.administrator, &get(&path)).await).actor.value.signature, None);
}
