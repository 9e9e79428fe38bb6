//! Tokens of Lanyard's own keys: verified here, by real signatures.

use std::time::UNIX_EPOCH;

use crate::promises::in_each_form;
use crate::world::form::Start;
use crate::world::{HOST, REGION, account, cluster_of, code, refused, system, verified, world};
use base64::Engine as _;
use lanyard_api::authn::accounts::{Accounts, Named};
use lanyard_api::authn::{Authenticate, AuthenticateQuery, Authentication};
use lanyard_api::mapping::BlockTarget;
use lanyard_api::{Authority, IdentityKind, Scope, TrustedAccount};
use lanyard_authn::Engine;
use lanyard_iam::token::{TOKEN_EXPIRES, mint_token};
use lanyard_iam::{
    AccessKeyId, Ancestor, CanonicalArn, Credentials, PrincipalId, Region, SecretAccessKey, SessionToken,
};
use lanyard_store::{on_each_store, test_support::TestDatabase};
use time::Duration;

in_each_form! {
    a_users_token_proves_the_user_with_path_and_unique_id,
    a_role_sessions_token_proves_the_session_with_all_that_it_descends_from,
    tokens_of_another_make_are_accepted,
    what_is_no_token_of_ours_is_somebody_elses_affair,
    a_refusal_names_its_reason_and_the_part_that_failed,
    immunity_01_parameters_that_differ_in_letter_case_alone_are_refused,
    immunity_04_a_token_is_for_one_cluster_also_among_clusters_of_one_name,
    immunity_05_both_ends_of_the_window_hold_offline,
    immunity_39_a_key_switched_off_or_deleted_and_an_account_removed_stop_with_the_next_call,
    an_inactive_key_with_a_wrong_secret_learns_nothing_about_its_state,
    immunity_36_a_session_ends_with_its_key_user_and_role_also_when_they_are_made_anew,
    immunity_36_a_chained_session_ends_with_the_roles_in_between_across_accounts,
    immunity_36_a_session_from_a_state_not_yet_seen_is_a_fault_and_no_refusal,
    immunity_35_a_sessions_token_gives_its_secret_away_to_nobody,
    immunity_37_a_token_does_not_open_a_cluster_that_took_the_id_later,
    a_block_stops_from_hub_account_and_cluster_and_for_all_that_descends,
    immunity_20_a_block_on_a_session_stops_those_that_it_has_made,
    explain_names_the_cluster_that_a_token_was_made_for_within_the_account_alone,
}

// Of the engine's configuration and its first start.
on_each_store!(
    a_token_of_the_hubs_own_keys_may_name_the_hub_as_its_sts,
    immunity_57_the_first_start_happens_once_and_leaves_no_secret_in_the_clear,
);

async fn a_users_token_proves_the_user_with_path_and_unique_id(start: Start) {
    let world = world(start).await;
    let (user, key) = world.user(world.hub.account, "/team/", "ana").await;
    let answer = verified(world.knock(&key, &world.cluster).await);
    let identity = answer.identity.value.aws().unwrap();
    let arn = format!("arn:aws:iam::{}:user/team/ana", world.hub.account);
    assert_eq!((identity.arn.to_string(), identity.canonical_arn.as_str()), (arn.clone(), arn.as_str()));
    assert_eq!((&identity.authority, identity.account), (&Authority::Local, world.hub.account));
    assert_eq!(identity.principal_id, user.principal_id);
    assert_eq!((&identity.access_key_id, identity.kind), (&key.access_key_id, IdentityKind::Ordinary));
    assert_eq!((&*answer.verifier, answer.cached), ("local IAM", false));
    assert_eq!(answer.not_after, world.now() + Duration::minutes(15));
    assert_eq!(world.sts.calls(), 0, "local keys never leave");
}

async fn a_role_sessions_token_proves_the_session_with_all_that_it_descends_from(start: Start) {
    let world = world(start).await;
    let (user, key) = world.user(world.hub.account, "/", "ana").await;
    let role = world.role(world.hub.account, "/team/", "Dev", "*").await;
    let (session, _) = world.session(&role, &user, &key.access_key_id).await;
    let answer = verified(world.knock(&session.credentials, &world.cluster).await);
    let identity = answer.identity.value.aws().unwrap();
    let account = world.hub.account;
    assert_eq!(identity.arn.to_string(), format!("arn:aws:sts::{account}:assumed-role/Dev/ana@example.com"));
    assert_eq!(identity.canonical_arn.as_str(), format!("arn:aws:iam::{account}:role/Dev"));
    assert_eq!(
        identity.principal_arn.as_ref().unwrap().to_string(),
        format!("arn:aws:iam::{account}:role/team/Dev")
    );
    assert_eq!(identity.session_name.as_deref(), Some("ana@example.com"));
    assert_eq!(identity.principal_id, role.principal_id);
    assert_eq!(
        identity.ancestors,
        [format!("user/{}", user.principal_id), format!("key/{}", key.access_key_id)]
    );
    let [kin] = identity.kin.as_slice() else { panic!("{:?}", identity.kin) };
    assert_eq!(
        (kin.account, kin.canonical_arn.as_str()),
        (account, &*format!("arn:aws:iam::{account}:user/ana"))
    );
}

/// Presigned by AWS's own Rust signer.
fn of_another_make(by: &Credentials, cluster_id: &str, at: time::OffsetDateTime) -> String {
    use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
    use aws_sigv4::sign::v4::SigningParams;
    let token = by.session_token.as_ref().map(|token| token.expose().to_owned());
    let identity = aws_credential_types::Credentials::new(
        by.access_key_id.as_str(),
        by.secret_access_key.expose(),
        token,
        None,
        "test",
    )
    .into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(std::time::Duration::from_secs(60));
    let at = UNIX_EPOCH + std::time::Duration::from_secs(at.unix_timestamp().unsigned_abs());
    let params =
        SigningParams::builder().identity(&identity).region(REGION).name("sts").time(at).settings(settings);
    let url = format!("https://{HOST}/?Action=GetCallerIdentity&Version=2011-06-15");
    let headers = [("host", HOST), ("x-k8s-aws-id", cluster_id)].into_iter();
    let request = SignableRequest::new("GET", &url, headers, SignableBody::Bytes(b"")).unwrap();
    let (instructions, _) = sign(request, &params.build().unwrap().into()).unwrap().into_parts();
    let mut signed = http::Request::builder().uri(&url).body(()).unwrap();
    instructions.apply_to_request_http1x(&mut signed);
    let encoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(signed.uri().to_string());
    format!("k8s-aws-v1.{encoded}")
}

async fn tokens_of_another_make_are_accepted(start: Start) {
    let world = world(start).await;
    let (user, key) = world.user(world.hub.account, "/", "ana").await;
    let role = world.role(world.hub.account, "/", "Dev", "*").await;
    let (session, _) = world.session(&role, &user, &key.access_key_id).await;
    for by in [&key, &session.credentials] {
        let token = of_another_make(by, "dev", world.now());
        assert_eq!(
            verified(world.ask(&token, &world.cluster).await).identity.value.aws().unwrap().access_key_id,
            by.access_key_id
        );
        let other = of_another_make(by, "prod", world.now());
        assert_eq!(code(world.ask(&other, &world.cluster).await), "signature_or_cluster");
    }
}

async fn a_token_of_the_hubs_own_keys_may_name_the_hub_as_its_sts(database: TestDatabase) {
    let world = world(database).await;
    let (user, ana) = world.user(world.hub.account, "/", "ana").await;
    const HUB: &str = "hub.example:8445";
    let engine = world.calling_with(serde_json::json!({ "own_sts_hosts": [HUB] })).await;
    let region = Region::parse("eu-central-1").unwrap();
    let ask = async |engine: &Engine, by: &Credentials, host: &str| {
        let token = mint_token(by, host, &region, "dev", world.now(), TOKEN_EXPIRES).unwrap();
        engine.authenticate(world.query(token.expose(), &world.cluster)).await
    };
    let found = verified(ask(&engine, &ana, HUB).await);
    assert_eq!(found.identity.value.aws().unwrap().principal_id, user.principal_id);
    assert_eq!(&*found.verifier, "local IAM");
    assert_eq!(code(ask(&engine, &ana, "hub.example").await), "token_host");
    assert_eq!(code(ask(&world.engine, &ana, HUB).await), "token_host", "one that is not told so");
    // A token is for one cluster, whatever host it names.
    let other = cluster_of(&world.hub, "other", world.hub.account, world.now());
    world.put(&other).await;
    let token = mint_token(&ana, HUB, &region, "other", world.now(), TOKEN_EXPIRES).unwrap();
    let answer = engine.authenticate(world.query(token.expose(), &world.cluster)).await;
    assert_eq!(code(answer), "signature_or_cluster");
    // Nobody is sent to the hub to be told who AWS's keys are.
    let by_aws = world.aws_user("bo");
    assert_eq!(code(ask(&engine, &by_aws, HUB).await), "key_of_others");
    assert_eq!(world.sts.calls(), 0);
}

async fn what_is_no_token_of_ours_is_somebody_elses_affair(start: Start) {
    let world = world(start).await;
    for token in ["", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "k8s-aws-v2.aGk", "K8S-AWS-V1.aGk", "lbg_x"] {
        assert_eq!(world.ask(token, &world.cluster).await, Ok(Authentication::NotOurs), "V83 {token:?}");
    }
}

async fn a_refusal_names_its_reason_and_the_part_that_failed(start: Start) {
    let world = world(start).await;
    let (user, key) = world.user(world.hub.account, "/", "ana").await;
    let role = world.role(world.hub.account, "/", "Dev", "*").await;
    let (session, _) = world.session(&role, &user, &key.access_key_id).await;
    let session = session.credentials;
    let with = |change: &dyn Fn(&mut Credentials), base: &Credentials| {
        let mut changed = base.clone();
        change(&mut changed);
        world.token(&changed, "dev").expose().to_owned()
    };
    let wrong = SecretAccessKey::new("guess".to_owned());
    let unknown = AccessKeyId::parse("LKIAAAAAAAAAAAAAAAAA").unwrap();
    let of_nobody = AccessKeyId::parse(&format!("{}AAAAAAAA", &key.access_key_id.as_str()[..12])).unwrap();
    let cases = [
        ("not base64", "k8s-aws-v1.!!!".to_owned(), "token_encoding", "encoding"),
        (
            "another secret",
            with(&|c| c.secret_access_key = wrong.clone(), &key),
            "signature_or_cluster",
            "X-Amz-Signature",
        ),
        (
            "another cluster",
            world.token(&key, "prod").expose().to_owned(),
            "signature_or_cluster",
            "X-Amz-Signature",
        ),
        (
            "an account that is not here",
            with(&|c| c.access_key_id = unknown.clone(), &key),
            "unknown_key",
            "X-Amz-Credential",
        ),
        (
            "a key that is not here",
            with(&|c| c.access_key_id = of_nobody.clone(), &key),
            "unknown_key",
            "X-Amz-Credential",
        ),
        (
            "a long-term key with a session token",
            with(&|c| c.session_token = session.session_token.clone(), &key),
            "session_token_unexpected",
            "X-Amz-Security-Token",
        ),
        (
            "a session key without its token",
            with(&|c| c.session_token = None, &session),
            "session_token_missing",
            "X-Amz-Security-Token",
        ),
        (
            "a made-up session token",
            with(&|c| c.session_token = Some(SessionToken::new("AAAA".to_owned())), &session),
            "session_token_malformed",
            "X-Amz-Security-Token",
        ),
        (
            "a session's secret that is another's",
            with(&|c| c.secret_access_key = key.secret_access_key.clone(), &session),
            "signature_or_cluster",
            "X-Amz-Signature",
        ),
    ];
    for (what, token, code, part) in cases {
        let refusal = refused(world.ask(&token, &world.cluster).await);
        assert_eq!((&*refusal.denial.code, refusal.part.as_str()), (code, part), "{what}: {refusal:?}");
        assert!(!format!("{refusal:?}").contains(key.secret_access_key.expose()), "{what}");
    }
    let nowhere = cluster_of(&world.hub, "nowhere", world.hub.account, world.now());
    assert_eq!(code(world.knock(&key, &nowhere).await), "unknown_cluster");
}

async fn immunity_01_parameters_that_differ_in_letter_case_alone_are_refused(start: Start) {
    let world = world(start).await;
    let (_, key) = world.user(world.hub.account, "/", "ana").await;
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let token = world.token(&key, "dev");
    let url = String::from_utf8(engine.decode(&token.expose()[11..]).unwrap()).unwrap();
    for extra in
        ["&action=AssumeRole", "&x-amz-expires=900", "&ACTION=GetCallerIdentity", "&Action=GetCallerIdentity"]
    {
        let doubled = format!("k8s-aws-v1.{}", engine.encode(format!("{url}{extra}")));
        let refusal = refused(world.ask(&doubled, &world.cluster).await);
        assert!(
            refusal.denial.code.contains("duplicate") || refusal.denial.code.contains("repeated"),
            "{refusal:?}"
        );
    }
}

async fn immunity_04_a_token_is_for_one_cluster_also_among_clusters_of_one_name(start: Start) {
    let world = world(start).await;
    let other_account = world.register("222233334444", Authority::Local).await;
    let (_, ana) = world.user(world.hub.account, "/", "ana").await;
    let (_, bo) = world.user(other_account, "/", "bo").await;
    // The same name in another account; the hub has given it an id of its own.
    let mut twin = cluster_of(&world.hub, "dev-x7k2p9", other_account, world.now());
    twin.name = "dev".to_owned();
    world.put(&twin).await;
    verified(world.knock(&ana, &world.cluster).await);
    verified(world.knock(&bo, &twin).await);
    let for_dev = world.token(&bo, "dev");
    assert_eq!(code(world.ask(for_dev.expose(), &twin).await), "signature_or_cluster");
    assert_eq!(code(world.knock(&ana, &twin).await), "account_not_trusted");
    assert_eq!(code(world.knock(&bo, &world.cluster).await), "account_not_trusted");
}

async fn immunity_05_both_ends_of_the_window_hold_offline(start: Start) {
    let world = world(start).await;
    let (_, key) = world.user(world.hub.account, "/", "ana").await;
    world.clock.advance(Duration::HOUR);
    let at = world.now();
    let cases = [
        (-15 * 60 - 1, false),
        (-15 * 60, true),
        (0, true),
        (5 * 60, true),
        (5 * 60 + 1, false),
        (86_400, false),
    ];
    for (offset, accepted) in cases {
        world.clock.set(at + Duration::seconds(offset));
        let token = world.token(&key, "dev");
        world.clock.set(at);
        let answer = world.ask(token.expose(), &world.cluster).await;
        assert_eq!(matches!(answer, Ok(Authentication::Verified(_))), accepted, "{offset} s: {answer:?}");
    }
}

async fn immunity_39_a_key_switched_off_or_deleted_and_an_account_removed_stop_with_the_next_call(
    start: Start,
) {
    let world = world(start).await;
    let tenant = world.register("222233334444", Authority::Local).await;
    let mut cluster = cluster_of(&world.hub, "tenant", world.hub.account, world.now());
    cluster.trusted_accounts.push(TrustedAccount { authority: Authority::Local, account: tenant });
    world.put(&cluster).await;
    let (user, key) = world.user(tenant, "/", "ana").await;
    let named = || Named { account: Some(tenant), name: user.name.clone() };
    let token = world.token(&key, "tenant");
    let ask = || world.ask(token.expose(), &cluster);
    verified(ask().await);
    let switch = |on| world.engine.set_access_key_active(system(), named(), key.access_key_id.clone(), on);
    switch(false).await.unwrap();
    assert_eq!(code(ask().await), "inactive_key");
    switch(true).await.unwrap();
    verified(ask().await);
    world.engine.delete_access_key(system(), named(), key.access_key_id.clone()).await.unwrap();
    assert_eq!(code(ask().await), "unknown_key");
    let again = world.key(tenant, "ana").await;
    let token = world.token(&again, "tenant");
    verified(world.ask(token.expose(), &cluster).await);
    cluster.trusted_accounts.retain(|pair| pair.account != tenant);
    world.put(&cluster).await;
    assert_eq!(code(world.ask(token.expose(), &cluster).await), "account_not_trusted");
    world.engine.delete_user(system(), named(), false).await.unwrap();
    world.engine.delete_account(system(), tenant).await.unwrap();
    assert_eq!(code(world.ask(token.expose(), &cluster).await), "unknown_key");
}

async fn an_inactive_key_with_a_wrong_secret_learns_nothing_about_its_state(start: Start) {
    let world = world(start).await;
    let (user, key) = world.user(world.hub.account, "/", "ana").await;
    let named = Named { account: Some(user.account), name: user.name };
    world.engine.set_access_key_active(system(), named, key.access_key_id.clone(), false).await.unwrap();
    let guess = Credentials { secret_access_key: SecretAccessKey::new("guess".to_owned()), ..key.clone() };
    assert_eq!(code(world.knock(&guess, &world.cluster).await), "signature_or_cluster");
    assert_eq!(code(world.knock(&key, &world.cluster).await), "inactive_key");
}

async fn immunity_36_a_session_ends_with_its_key_user_and_role_also_when_they_are_made_anew(start: Start) {
    for what in [
        "key deleted",
        "key switched off",
        "user deleted",
        "user made anew",
        "role deleted",
        "role made anew",
        "revoked",
    ] {
        let world = world(start.another().await).await;
        let home = world.hub.account;
        let (user, key) = world.user(home, "/", "ana").await;
        let role = world.role(home, "/", "Dev", "*").await;
        let (session, _) = world.session(&role, &user, &key.access_key_id).await;
        let token = world.token(&session.credentials, "dev");
        verified(world.ask(token.expose(), &world.cluster).await);
        let (named, of_role) = (
            Named { account: Some(home), name: "ana".to_owned() },
            Named { account: Some(home), name: "Dev".to_owned() },
        );
        let engine = &world.engine;
        let expected = match what {
            "key deleted" => {
                engine.delete_access_key(system(), named, key.access_key_id.clone()).await.unwrap();
                "session_ancestor_gone"
            }
            "key switched off" => {
                engine
                    .set_access_key_active(system(), named, key.access_key_id.clone(), false)
                    .await
                    .unwrap();
                "session_ancestor_gone"
            }
            "user deleted" | "user made anew" => {
                engine.delete_user(system(), named, false).await.unwrap();
                if what == "user made anew" {
                    world.user(home, "/", "ana").await;
                }
                "session_ancestor_gone"
            }
            "role deleted" | "role made anew" => {
                engine.delete_role(system(), of_role, false).await.unwrap();
                if what == "role made anew" {
                    world.role(home, "/", "Dev", "*").await;
                }
                "session_role_gone"
            }
            _ => {
                engine.revoke_sessions(system(), of_role).await.unwrap();
                "session_revoked"
            }
        };
        assert_eq!(code(world.ask(token.expose(), &world.cluster).await), expected, "{what}");
    }
}

async fn immunity_36_a_chained_session_ends_with_the_roles_in_between_across_accounts(start: Start) {
    let world = world(start).await;
    let (home, away) = (world.hub.account, world.register("222233334444", Authority::Local).await);
    let (user, key) = world.user(away, "/", "ana").await;
    let between = world.role(away, "/", "Between", "*").await;
    let role = world.role(home, "/", "Dev", "*").await;
    let id = |text: &str| PrincipalId::parse(text).unwrap();
    let ancestors = vec![
        Ancestor::Role(id(&between.principal_id)),
        Ancestor::User(id(&user.principal_id)),
        Ancestor::AccessKey(key.access_key_id.clone()),
    ];
    let (session, _) = world.session_of(&role, ancestors, 1).await;
    let answer = verified(world.knock(&session.credentials, &world.cluster).await);
    let kin = &answer.identity.value.aws().unwrap().kin;
    let named: Vec<_> = kin.iter().map(|kin| (kin.account, kin.canonical_arn.as_str())).collect();
    let (between_arn, user_arn) =
        (format!("arn:aws:iam::{away}:role/Between"), format!("arn:aws:iam::{away}:user/ana"));
    assert_eq!(named, [(away, &*between_arn), (away, &*user_arn)]);
    let of_between = Named { account: Some(away), name: "Between".to_owned() };
    world.engine.revoke_sessions(system(), of_between.clone()).await.unwrap();
    assert_eq!(code(world.knock(&session.credentials, &world.cluster).await), "session_revoked");
    world.clock.advance(Duration::seconds(1));
    let (later, _) = world.session_of(&role, vec![Ancestor::Role(id(&between.principal_id))], 1).await;
    verified(world.knock(&later.credentials, &world.cluster).await);
    world.engine.delete_role(system(), of_between, false).await.unwrap();
    assert_eq!(code(world.knock(&later.credentials, &world.cluster).await), "session_ancestor_gone");
}

async fn immunity_36_a_session_from_a_state_not_yet_seen_is_a_fault_and_no_refusal(start: Start) {
    let world = world(start).await;
    let (user, key) = world.user(world.hub.account, "/", "ana").await;
    let role = world.role(world.hub.account, "/", "Dev", "*").await;
    verified(world.knock(&key, &world.cluster).await);
    let (_, mut claims) = world.session(&role, &user, &key.access_key_id).await;
    claims.revision += 1;
    let ahead = world.minter.mint(&claims, &aws_lc_rs::rand::SystemRandom::new()).unwrap();
    let fault = world.knock(&ahead.credentials, &world.cluster).await.unwrap_err();
    assert_eq!(fault.code(), "unavailable");
}

async fn immunity_35_a_sessions_token_gives_its_secret_away_to_nobody(start: Start) {
    let world = world(start).await;
    let (user, key) = world.user(world.hub.account, "/", "ana").await;
    let role = world.role(world.hub.account, "/", "Dev", "*").await;
    let (session, _) = world.session(&role, &user, &key.access_key_id).await;
    let token = session.credentials.session_token.clone().unwrap();
    let guesses = [
        token.expose().to_owned(),
        lanyard_iam::PayloadHash::of(token.expose().as_bytes()).as_str().to_owned(),
        session.credentials.access_key_id.to_string(),
    ];
    for guess in guesses {
        let guessed =
            Credentials { secret_access_key: SecretAccessKey::new(guess), ..session.credentials.clone() };
        assert_eq!(code(world.knock(&guessed, &world.cluster).await), "signature_or_cluster");
    }
}

async fn immunity_37_a_token_does_not_open_a_cluster_that_took_the_id_later(start: Start) {
    let world = world(start).await;
    let (_, key) = world.user(world.hub.account, "/", "ana").await;
    let token = world.token(&key, "dev");
    verified(world.ask(token.expose(), &world.cluster).await);
    world.remove(&world.cluster).await;
    assert_eq!(code(world.ask(token.expose(), &world.cluster).await), "unknown_cluster");
    world.clock.advance(Duration::seconds(1));
    let tenant = world.register("222233334444", Authority::Local).await;
    let again = cluster_of(&world.hub, "dev", tenant, world.now());
    world.put(&again).await;
    assert_eq!(code(world.ask(token.expose(), &again).await), "older_than_cluster");
    assert_eq!(
        code(world.knock(&key, &again).await),
        "account_not_trusted",
        "a new token does not help a stranger"
    );
}

async fn a_block_stops_from_hub_account_and_cluster_and_for_all_that_descends(start: Start) {
    let world = world(start).await;
    let home = world.hub.account;
    let (user, key) = world.user(home, "/team/", "ana").await;
    let role = world.role(home, "/", "Dev", "*").await;
    let (session, _) = world.session(&role, &user, &key.access_key_id).await;
    let canonical = |text: String| CanonicalArn::parse(&text).unwrap();
    let (of_user, of_role) = (
        canonical(format!("arn:aws:iam::{home}:user/team/ana")),
        canonical(format!("arn:aws:iam::{home}:role/Dev")),
    );
    let local = || Authority::Local;
    let principal = |canonical_arn: &CanonicalArn| BlockTarget::Principal {
        authority: local(),
        canonical_arn: canonical_arn.clone(),
    };
    let targets = [
        (principal(&of_user), true, true),
        (principal(&of_role), false, true),
        (BlockTarget::AccessKey { access_key_id: key.access_key_id.clone() }, true, true),
        (BlockTarget::AccessKey { access_key_id: session.credentials.access_key_id.clone() }, false, true),
        (BlockTarget::Account { authority: local(), account: home }, true, true),
        (BlockTarget::Account { authority: Authority::Aws, account: home }, false, false),
        (
            BlockTarget::Session {
                authority: local(),
                canonical_arn: of_role.clone(),
                session_name: "ana@example.com".to_owned(),
            },
            false,
            true,
        ),
    ];
    for scope in [Scope::Hub, Scope::Account(home), Scope::Cluster(world.cluster.uid)] {
        for (target, stops_user, stops_session) in targets.clone() {
            let block = world.block(scope, target.clone()).await;
            for (who, stops) in [(&key, stops_user), (&session.credentials, stops_session)] {
                let answer = world.knock(who, &world.cluster).await;
                match stops {
                    true => assert_eq!(code(answer), "blocked", "{scope} {target:?}"),
                    false => drop(verified(answer)),
                }
            }
            world.remove(&block).await;
        }
    }
    verified(world.knock(&session.credentials, &world.cluster).await);
    let elsewhere = account("222233334444");
    world.register("222233334444", Authority::Local).await;
    world.block(Scope::Account(elsewhere), principal(&of_user)).await;
    verified(world.knock(&key, &world.cluster).await);
}

async fn immunity_20_a_block_on_a_session_stops_those_that_it_has_made(start: Start) {
    let world = world(start).await;
    let (home, away) = (world.hub.account, world.register("222233334444", Authority::Local).await);
    let (user, key) = world.user(away, "/", "ana").await;
    let ci = world.role(away, "/team/", "ci", "*").await;
    let deployer = world.role(home, "/", "deployer", "*").await;
    let id = |text: &str| PrincipalId::parse(text).unwrap();
    let made_by = |between: Ancestor| {
        vec![between, Ancestor::User(id(&user.principal_id)), Ancestor::AccessKey(key.access_key_id.clone())]
    };
    let named = Ancestor::RoleSession { role: id(&ci.principal_id), name: "run-17".to_owned() };
    let (chained, _) = world.session_of(&deployer, made_by(named), 1).await;
    // Of one that an older version has made, nobody knows which session it was.
    let (older, _) = world.session_of(&deployer, made_by(Ancestor::Role(id(&ci.principal_id))), 1).await;
    let answer = verified(world.knock(&chained.credentials, &world.cluster).await);
    let identity = answer.identity.value.aws().unwrap();
    let named = [format!("role/{}", ci.principal_id), "certificate/:run-17".to_owned()];
    assert!(identity.ancestors.starts_with(&named), "{:?}", identity.ancestors);
    let kin: Vec<_> =
        identity.kin.iter().map(|kin| (kin.canonical_arn.as_str(), &kin.session_name)).collect();
    let (of_ci, of_ana) = (format!("arn:aws:iam::{away}:role/ci"), format!("arn:aws:iam::{away}:user/ana"));
    assert_eq!(kin, [(of_ci.as_str(), &Some("run-17".to_owned())), (of_ana.as_str(), &None)]);
    let session = |role: &str, name: &str| BlockTarget::Session {
        authority: Authority::Local,
        canonical_arn: CanonicalArn::parse(role).unwrap(),
        session_name: name.to_owned(),
    };
    let of_deployer = format!("arn:aws:iam::{home}:role/deployer");
    let targets = [
        (session(&of_ci, "run-17"), true),
        (session(&of_ci, "run-18"), false),
        (session(&of_deployer, "run-17"), false),
    ];
    for scope in [Scope::Hub, Scope::Account(home), Scope::Cluster(world.cluster.uid)] {
        for (target, stops) in targets.clone() {
            let block = world.block(scope, target.clone()).await;
            let answer = world.knock(&chained.credentials, &world.cluster).await;
            match stops {
                true => assert_eq!(code(answer), "blocked", "{scope} {target:?}"),
                false => drop(verified(answer)),
            }
            verified(world.knock(&older.credentials, &world.cluster).await);
            world.remove(&block).await;
        }
    }
    let of_role = Named { account: Some(away), name: "ci".to_owned() };
    world.engine.revoke_sessions(system(), of_role.clone()).await.unwrap();
    assert_eq!(code(world.knock(&chained.credentials, &world.cluster).await), "session_revoked");
    world.engine.delete_role(system(), of_role, false).await.unwrap();
    assert_eq!(code(world.knock(&chained.credentials, &world.cluster).await), "session_ancestor_gone");
}

async fn explain_names_the_cluster_that_a_token_was_made_for_within_the_account_alone(start: Start) {
    let world = world(start).await;
    let (_, key) = world.user(world.hub.account, "/", "ana").await;
    let tenant = world.register("222233334444", Authority::Local).await;
    world.put(&cluster_of(&world.hub, "prod", world.hub.account, world.now())).await;
    world.put(&cluster_of(&world.hub, "secret-project", tenant, world.now())).await;
    let hints = async |signed_for: &str| {
        let token = world.token(&key, signed_for);
        let query = AuthenticateQuery { explain: true, ..world.query(token.expose(), &world.cluster) };
        refused(world.authenticate(query).await).hints.join(" ")
    };
    assert!(hints("prod").await.contains("`prod`"));
    let foreign = hints("secret-project").await;
    assert!(
        foreign.contains("another account") && !foreign.contains("secret-project"),
        "immunity_58: {foreign}"
    );
    assert!(hints("nowhere").await.contains("no cluster"));
    let unasked = refused(world.ask(world.token(&key, "prod").expose(), &world.cluster).await);
    assert_eq!(unasked.hints, Vec::<String>::new());
}

async fn immunity_57_the_first_start_happens_once_and_leaves_no_secret_in_the_clear(database: TestDatabase) {
    let world = world(database).await;
    let region = Region::parse(REGION).unwrap();
    let (hub, key) = lanyard_authn::bootstrap(&world.store, None, region.clone(), &()).await.unwrap();
    assert_eq!(hub, world.hub);
    assert!(key.is_none());
    let other = lanyard_authn::bootstrap(&world.store, Some(account("222233334444")), region, &()).await;
    assert!(other.is_err());
    verified(world.knock(&world.administrator, &world.cluster).await);
    let secret = world.administrator.secret_access_key.expose();
    assert!(!world.database.holds(secret).await);
    assert!(
        world.database.holds(world.administrator.access_key_id.as_str()).await,
        "what stands there is found"
    );
    assert!(!format!("{:?}", world.administrator).contains(world.administrator.secret_access_key.expose()));
}
