//! Tokens that STS has to verify: over TLS, against the stand-in, through the token cache.

use crate::promises::in_each_form;
use crate::world::form::Start;
use crate::world::{
    AWS_ACCOUNT, LAB_ACCOUNT, LAB_HOST, World, account, cluster_of, code, config, refused, system, verified,
    world,
};
use lanyard_api::authn::accounts::{Accounts, CreateAccount};
use lanyard_api::authn::{Authenticate, AuthenticateQuery, Authentication};
use lanyard_api::mapping::BlockTarget;
use lanyard_api::{Authority, CallError, Fault, Scope, TrustedAccount};
use lanyard_aws::{
    StsClient,
    stand_in::{Behaviour, StandIn},
};
use lanyard_iam::token::{TOKEN_EXPIRES, mint_token};
use lanyard_iam::{CanonicalArn, Credentials, Region};
use lanyard_store::{on_each_store, test_support::TestDatabase};
use time::Duration;

in_each_form! {
    sts_says_who_signed_and_the_answer_is_kept_for_the_next_time,
    a_role_session_keeps_its_name_and_loses_no_part,
    immunity_14_a_fault_of_sts_is_reported_as_one_and_never_kept,
    v79_immunity_04_a_token_for_another_cluster_is_refused_with_what_can_be_said,
    immunity_17_a_definite_refusal_is_kept_shortly_and_a_new_token_is_asked_about_at_once,
    a_hit_saves_nothing_but_the_question_to_sts,
    immunity_03_what_is_kept_for_one_cluster_or_audience_is_not_for_another,
    immunity_31_of_three_who_vouch_for_one_arn_the_registered_one_counts,
    a_self_hosted_sts_vouches_for_its_own_accounts_at_its_own_host,
    immunity_55_a_deactivated_key_opens_nothing_after_the_lifetime_whatever_its_holder_does_to_sts,
}

// Of the engine's configuration.
on_each_store!(a_ca_file_verifies_its_own_sts_alone_and_nothing_else_does,);

fn at_lab(world: &World, by: &Credentials, cluster_id: &str) -> String {
    let region = Region::parse("lab").unwrap();
    mint_token(by, LAB_HOST, &region, cluster_id, world.now(), TOKEN_EXPIRES).unwrap().expose().to_owned()
}

async fn sts_says_who_signed_and_the_answer_is_kept_for_the_next_time(start: Start) {
    let world = world(start).await;
    let ana = world.aws_user("ana");
    let token = world.token(&ana, "dev");
    let first = verified(world.ask(token.expose(), &world.cluster).await);
    let identity = first.identity.value.aws().unwrap();
    assert_eq!(identity.arn.to_string(), format!("arn:aws:iam::{AWS_ACCOUNT}:user/ana"));
    assert_eq!((&identity.authority, identity.principal_id.as_str()), (&Authority::Aws, "AIDAUSER"));
    assert_eq!((&*first.verifier, first.cached), ("AWS STS sts.eu-west-1.amazonaws.com", false));
    let second = verified(world.ask(token.expose(), &world.cluster).await);
    assert!(second.cached);
    assert_eq!((second.identity.value, world.sts.calls()), (first.identity.value, 1));
    world.clock.advance(Duration::seconds(60));
    assert!(!verified(world.ask(token.expose(), &world.cluster).await).cached);
    assert_eq!(world.sts.calls(), 2);
}

async fn a_role_session_keeps_its_name_and_loses_no_part(start: Start) {
    let world = world(start).await;
    let arn = format!("arn:aws:sts::{AWS_ACCOUNT}:assumed-role/Dev/ana@example.com");
    let dev = world.at_sts("ASIAEXAMPLE123456789", AWS_ACCOUNT, &arn, "AROADEV:ana@example.com");
    let identity = verified(world.knock(&dev, &world.cluster).await).identity.value;
    let identity = identity.aws().unwrap();
    assert_eq!(identity.canonical_arn.as_str(), format!("arn:aws:iam::{AWS_ACCOUNT}:role/Dev"));
    assert_eq!(
        (identity.session_name.as_deref(), identity.principal_id.as_str()),
        (Some("ana@example.com"), "AROADEV")
    );
}

async fn immunity_14_a_fault_of_sts_is_reported_as_one_and_never_kept(start: Start) {
    let world = world(start).await;
    let ana = world.aws_user("ana");
    let token = world.token(&ana, "dev");
    let cases = [
        (Behaviour::Throttled400, "throttled"),
        (Behaviour::Throttled429, "throttled"),
        (Behaviour::ServerError, "unavailable"),
        (Behaviour::Hang, "timed_out"),
        (Behaviour::Truncated, "unavailable"),
        (Behaviour::Redirect, "unavailable"),
        (Behaviour::HugeBody, "unavailable"),
        (Behaviour::BadJson, "unavailable"),
        (Behaviour::AnotherPrincipal, "unavailable"),
    ];
    for (behaviour, expected) in cases {
        world.sts.behave(behaviour);
        let fault = world.ask(token.expose(), &world.cluster).await.unwrap_err();
        assert_eq!(fault.code(), expected, "{behaviour:?}: {fault}");
        world.sts.behave(Behaviour::Honest);
        let honest = verified(world.knock(&world.aws_user("bo"), &world.cluster).await);
        assert_eq!(honest.identity.value.aws().unwrap().account, account(AWS_ACCOUNT));
    }
    assert!(!verified(world.ask(token.expose(), &world.cluster).await).cached);
}

async fn v79_immunity_04_a_token_for_another_cluster_is_refused_with_what_can_be_said(start: Start) {
    let world = world(start).await;
    let ana = world.aws_user("ana");
    let token = world.token(&ana, "prod");
    let refusal = refused(world.ask(token.expose(), &world.cluster).await);
    assert_eq!((&*refusal.denial.code, refusal.part.as_str()), ("signature_or_cluster", "X-Amz-Signature"));
    assert_eq!((refusal.authority, refusal.access_key_id), (Some(Authority::Aws), Some(ana.access_key_id)));
    assert!(refusal.denial.message.contains("another cluster"), "{}", refusal.denial.message);
}

async fn immunity_17_a_definite_refusal_is_kept_shortly_and_a_new_token_is_asked_about_at_once(start: Start) {
    let world = world(start).await;
    let ana = world.aws_user("ana");
    world.sts.remove(&ana.access_key_id);
    let token = world.token(&ana, "dev");
    for _ in 0..3 {
        assert_eq!(code(world.ask(token.expose(), &world.cluster).await), "invalid_key");
    }
    assert_eq!(world.sts.calls(), 1);
    world.aws_user("ana");
    world.clock.advance(Duration::seconds(1));
    verified(world.knock(&ana, &world.cluster).await);
    world.clock.advance(Duration::seconds(9));
    verified(world.ask(token.expose(), &world.cluster).await);
}

async fn a_hit_saves_nothing_but_the_question_to_sts(start: Start) {
    let world = world(start).await;
    let ana = world.aws_user("ana");
    let token = world.token(&ana, "dev");
    verified(world.ask(token.expose(), &world.cluster).await);
    let arn = CanonicalArn::parse(&format!("arn:aws:iam::{AWS_ACCOUNT}:user/ana")).unwrap();
    for target in [
        BlockTarget::Principal { authority: Authority::Aws, canonical_arn: arn },
        BlockTarget::AccessKey { access_key_id: ana.access_key_id.clone() },
        BlockTarget::Account { authority: Authority::Aws, account: account(AWS_ACCOUNT) },
    ] {
        let block = world.block(Scope::Hub, target.clone()).await;
        assert_eq!(code(world.ask(token.expose(), &world.cluster).await), "blocked", "{target:?}");
        world.remove(&block).await;
        assert!(verified(world.ask(token.expose(), &world.cluster).await).cached);
    }
    let mut cluster = world.cluster.clone();
    cluster.trusted_accounts.retain(|pair| pair.authority != Authority::Aws);
    world.put(&cluster).await;
    assert_eq!(code(world.ask(token.expose(), &cluster).await), "authority_not_trusted");
    cluster
        .trusted_accounts
        .push(TrustedAccount { authority: Authority::Aws, account: account("999988887777") });
    world.register("999988887777", Authority::Aws).await;
    world.put(&cluster).await;
    assert_eq!(code(world.ask(token.expose(), &cluster).await), "account_not_trusted");
    world.clock.advance(Duration::minutes(16));
    assert_eq!(code(world.ask(token.expose(), &cluster).await), "token_expired");
    assert_eq!(world.sts.calls(), 1);
}

async fn immunity_03_what_is_kept_for_one_cluster_or_audience_is_not_for_another(start: Start) {
    let world = world(start).await;
    let twin = cluster_of(&world.hub, "twin", world.hub.account, world.now());
    world.put(&twin).await;
    let ana = world.aws_user("ana");
    let token = world.token(&ana, "dev");
    verified(world.ask(token.expose(), &world.cluster).await);
    assert_eq!(code(world.ask(token.expose(), &twin).await), "signature_or_cluster");
    let audiences = vec!["other".to_owned()];
    let query = AuthenticateQuery { audiences, ..world.query(token.expose(), &world.cluster) };
    assert!(!verified(world.authenticate(query).await).cached);
    assert_eq!(world.sts.calls(), 3);
}

async fn immunity_31_of_three_who_vouch_for_one_arn_the_registered_one_counts(start: Start) {
    let world = world(start).await;
    let arn = format!("arn:aws:iam::{AWS_ACCOUNT}:user/ana");
    let by_aws = world.aws_user("ana");
    let by_lab = world.at_sts("LABKEYLABKEYLABKEY00", AWS_ACCOUNT, &arn, "AIDALAB");
    verified(world.knock(&by_aws, &world.cluster).await);
    let claimed = at_lab(&world, &by_lab, "dev");
    let refusal = refused(world.ask(&claimed, &world.cluster).await);
    assert_eq!(&*refusal.denial.code, "account_of_other_authority");
    assert_eq!(refusal.authority, Some(Authority::Sts("lab".to_owned())));
    // Neither can a local account take the number.
    let take = CreateAccount {
        id: account(AWS_ACCOUNT),
        partition: world.hub.partition,
        authority: Authority::Local,
        name: "taken".to_owned(),
    };
    let taken = world.engine.create_account(system(), take).await.unwrap_err();
    assert!(matches!(taken, CallError::AlreadyExists { .. }), "{taken:?}");
    // AWS vouches for no account of the lab's, nor for one that nobody has registered.
    let lab_arn = format!("arn:aws:iam::{LAB_ACCOUNT}:user/ana");
    let of_lab = world.at_sts("AKIALABLABLABLABLAB0", LAB_ACCOUNT, &lab_arn, "AIDALAB");
    assert_eq!(code(world.knock(&of_lab, &world.cluster).await), "account_of_other_authority");
    let stranger =
        world.at_sts("AKIASTRANGER00000000", "123412341234", "arn:aws:iam::123412341234:user/x", "AIDAX");
    assert_eq!(code(world.knock(&stranger, &world.cluster).await), "account_not_registered");
}

async fn a_self_hosted_sts_vouches_for_its_own_accounts_at_its_own_host(start: Start) {
    let world = world(start).await;
    let arn = format!("arn:aws:iam::{LAB_ACCOUNT}:user/ana");
    let ana = world.at_sts("LABKEYLABKEYLABKEY00", LAB_ACCOUNT, &arn, "AIDALAB");
    let answer = verified(world.ask(&at_lab(&world, &ana, "dev"), &world.cluster).await);
    assert_eq!(answer.identity.value.aws().unwrap().authority, Authority::Sts("lab".to_owned()));
    assert_eq!(&*answer.verifier, "STS lab sts.lab.example");
    let mut without = cluster_of(&world.hub, "without", world.hub.account, world.now());
    without.trusted_accounts.retain(|pair| !matches!(pair.authority, Authority::Sts(_)));
    world.put(&without).await;
    assert_eq!(code(world.ask(&at_lab(&world, &ana, "without"), &without).await), "token_host");
}

async fn a_ca_file_verifies_its_own_sts_alone_and_nothing_else_does(database: TestDatabase) {
    let world = world(database).await;
    let stranger = StandIn::start(&[LAB_HOST]).await;
    let arn = format!("arn:aws:iam::{LAB_ACCOUNT}:user/lea");
    let lea = world.at_sts("LABKEYLABKEYLABKEY00", LAB_ACCOUNT, &arn, "AIDALAB");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    for (in_file, elsewhere, lab_answers) in [(&world.sts, &stranger, true), (&stranger, &world.sts, false)] {
        std::fs::write(&file, in_file.ca_pem()).unwrap();
        let mut config = config();
        config.self_hosted_sts[0].ca_file = Some(file.clone());
        let mut http = config.sts_http_options().unwrap();
        (http.resolve, http.roots) = (world.sts.http_options().resolve, elsewhere.http_options().roots);
        let engine = world.calling(StsClient::new(config.sts, http).unwrap());
        let at_aws = world.token(&world.aws_user("ana"), "dev").expose().to_owned();
        for (token, answers) in [(at_lab(&world, &lea, "dev"), lab_answers), (at_aws, !lab_answers)] {
            match engine.authenticate(world.query(&token, &world.cluster)).await {
                Ok(Authentication::Verified(_)) => assert!(answers, "verified by another's CA"),
                Err(Fault::Unavailable { .. }) => assert!(!answers, "not verified by its own CA"),
                other => panic!("{other:?}"),
            }
        }
    }
}

async fn immunity_55_a_deactivated_key_opens_nothing_after_the_lifetime_whatever_its_holder_does_to_sts(
    start: Start,
) {
    let world = world(start).await;
    let mallory = world.aws_user("mallory");
    let token = world.token(&mallory, "dev");
    verified(world.ask(token.expose(), &world.cluster).await);
    world.sts.remove(&mallory.access_key_id);
    world.sts.behave(Behaviour::ServerError);
    for _ in 0..10 {
        world.clock.advance(Duration::seconds(1));
        world.knock(&mallory, &world.cluster).await.unwrap_err();
    }
    world.sts.behave(Behaviour::Honest);
    assert!(verified(world.ask(token.expose(), &world.cluster).await).cached);
    verified(world.knock(&world.aws_user("ana"), &world.cluster).await);
    world.clock.advance(Duration::seconds(50));
    assert_eq!(code(world.ask(token.expose(), &world.cluster).await), "invalid_key");
    world.sts.behave(Behaviour::ServerError);
    world.clock.advance(Duration::seconds(11));
    let fault: Result<Authentication, Fault> = world.ask(token.expose(), &world.cluster).await;
    assert!(fault.is_err(), "STS being away prolongs nothing: {fault:?}");
}
