//! Tokens of a real issuer (discovery and keys over TLS on loopback): whom a role's trust policy lets in gets a session, and
//! everybody else the refusal of AWS STS.

use std::net::IpAddr;

use lanyard_api::{
    Fault,
    authn::oidc_providers::OidcProvider,
    credentials::{AssumeRoleWithWebIdentity, WebIdentityRefusal},
    grpc::{Door, Remote, Served},
    mapping::BlockTarget,
    suite::{admitting, serve_in_process},
    voucher::{Audience, Vouchers},
};
use lanyard_credentials::{UnsignedConfig, WebIdentityConfig};
use lanyard_kit::{Clock as _, limits::Quota};
use lanyard_oidc::{Algorithm, stand_in::Behaviour};
use serde_json::{Value, json};
use time::Duration;

use super::{issuer_world::*, *};

on_each_store!(
    a_job_of_github_gets_a_session_that_descends_from_provider_and_subject,
    the_documented_subjects_of_ci_issuers_open_what_is_theirs,
    immunity_10_a_bad_token_is_refused_as_sts_refuses_it,
    immunity_10_a_token_is_signed_with_what_sts_takes_and_nothing_else,
    immunity_11_a_trust_policy_decides_by_what_the_token_says,
    a_role_that_is_not_there_and_one_that_does_not_trust_answer_alike,
    tags_and_a_source_identity_come_from_the_token_and_need_permissions_of_their_own,
    durations_and_policies_are_those_of_the_role,
    immunity_39_blocks_on_issuer_and_subject_stop_the_exchange,
    immunity_20_a_block_on_the_role_its_account_or_the_session_stops_the_exchange,
    an_issuer_whose_keys_are_not_to_be_had_is_no_refusal,
    a_provider_that_is_gone_or_changed_counts_at_once,
    over_grpc_no_actor_is_needed_and_the_address_is_the_doors,
    immunity_28_behind_one_address_one_namespaces_burst_leaves_others_theirs,
);

async fn a_job_of_github_gets_a_session_that_descends_from_provider_and_subject(database: TestDatabase) {
    let world = World::start(&database).await;
    world.role_for(r#""repo:octo-org/octo-repo:*""#).await;
    let subject = "repo:octo-org/octo-repo:environment:prod";
    // As GitHub documents a job's token.
    let made = world
        .ask(json!({
            "jti": "example-id", "sub": subject, "ref": "refs/heads/main", "sha": "example-sha", "environment": "prod",
            "repository": "octo-org/octo-repo", "repository_owner": "octo-org", "actor_id": "12", "repository_id": "74",
            "repository_owner_id": "65", "run_id": "example-run-id", "run_number": "10", "run_attempt": "2",
            "runner_environment": "github-hosted", "actor": "octocat", "workflow": "example-workflow", "head_ref": "",
            "base_ref": "", "event_name": "workflow_dispatch", "ref_type": "branch", "repository_visibility": "private",
            "job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
        }))
        .await
        .unwrap();
    assert_eq!(made.session.arn, "arn:aws:sts::111122223333:assumed-role/dev/run-17");
    assert_eq!(made.session.assumed_role_id, "AROAAAAAAAAAAAAAAAAAA:run-17");
    assert_eq!((made.provider.as_str(), made.audience.as_str()), (world.issuer.issuer(), CLIENT_ID));
    assert_eq!((made.subject.as_str(), made.source_identity.as_deref()), (subject, None));
    let claims = world.opened(&made);
    assert_eq!(claims.principal.to_string(), ROLE_ARN);
    assert_eq!((claims.chain_depth, claims.expires_at - claims.issued_at), (0, Duration::HOUR));
    let stored = world.store.load::<OidcProvider>(Scope::Account(ACCOUNT.parse().unwrap())).await.unwrap().1;
    let ancestor = Ancestor::Provider {
        account: ACCOUNT.parse().unwrap(),
        id: stored[0].id.to_string(),
        issuer: world.issuer.issuer().to_owned(),
        subject: subject.to_owned(),
    };
    assert_eq!(claims.ancestors, [ancestor]);
}

async fn the_documented_subjects_of_ci_issuers_open_what_is_theirs(database: TestDatabase) {
    let world = World::start(&database).await;
    let cases = [
        (
            "repo:octo-org/octo-repo:environment:Production",
            r#""repo:octo-org/octo-repo:environment:Production""#,
            true,
        ),
        (
            "repo:octo-org/octo-repo:pull_request",
            r#""repo:octo-org/octo-repo:environment:Production""#,
            false,
        ),
        (
            "repo:octo-org/octo-repo:ref:refs/heads/demo-branch",
            r#""repo:octo-org/octo-repo:ref:refs/heads/*""#,
            true,
        ),
        (
            "repo:octo-org/octo-repo:ref:refs/tags/demo-tag",
            r#""repo:octo-org/octo-repo:ref:refs/heads/*""#,
            false,
        ),
        ("repo:octo-org-evil/octo-repo:pull_request", r#""repo:octo-org/*""#, false),
        ("repo:octo-org/octo-repo:pull_request", r#""repo:octo-org/*""#, true),
        (
            "project_path:mygroup/my-project:ref_type:branch:ref:main",
            r#""project_path:mygroup/*:ref_type:branch:ref:main""#,
            true,
        ),
        (
            "project_path:mygroup/my-project:ref_type:branch:ref:other",
            r#""project_path:mygroup/*:ref_type:branch:ref:main""#,
            false,
        ),
        (
            "project_path:mygroup/my-project:ref_type:tag:ref:v1",
            r#"["project_path:a/b:*","project_path:mygroup/my-project:ref_type:tag:*"]"#,
            true,
        ),
        // Bitbucket: repository, environment where there is one, step. Azure DevOps: organization, project, service connection.
        (
            "{f1a8c0d2-9b3e-4a51-8c77-0d2e6b9f4a10}:{3c1e7f88-52b0-4d19-a6f4-77e0c2b9d815}",
            r#""{f1a8c0d2-9b3e-4a51-8c77-0d2e6b9f4a10}:*""#,
            true,
        ),
        (
            "{f1a8c0d2-9b3e-4a51-8c77-0d2e6b9f4a11}:{3c1e7f88-52b0-4d19-a6f4-77e0c2b9d815}",
            r#""{f1a8c0d2-9b3e-4a51-8c77-0d2e6b9f4a10}:*""#,
            false,
        ),
        ("sc://acme/shop/live", r#""sc://acme/shop/*""#, true),
        ("sc://acme/other/live", r#""sc://acme/shop/*""#, false),
        ("org/1f2e/project/3c4d/user/5e6f", r#""org/1f2e/project/3c4d/user/*""#, true),
        (
            "organization:acme:project:shop:workspace:live:run_phase:apply",
            r#""organization:acme:project:shop:*""#,
            true,
        ),
        (
            "organization:evil:project:shop:workspace:live:run_phase:apply",
            r#""organization:acme:project:shop:*""#,
            false,
        ),
        ("system:serviceaccount:ci:runner", r#""system:serviceaccount:ci:runner""#, true),
        ("system:serviceaccount:ci:runner2", r#""system:serviceaccount:ci:runner""#, false),
    ];
    for (subject, trusted, opens) in cases {
        world.role_for(trusted).await;
        let answer = world.ask(json!({"sub": subject})).await;
        assert_eq!(code(&answer), if opens { "ok" } else { DENIED }, "{subject} {trusted}");
    }
}

async fn immunity_10_a_bad_token_is_refused_as_sts_refuses_it(database: TestDatabase) {
    let world = World::start(&database).await;
    world.role_for(r#""repo:a/b:*""#).await;
    let good = json!({"sub": "repo:a/b:pull_request"});
    assert_eq!(code(&world.ask(good.clone()).await), "ok");
    let with = |extra: Value| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        world.query(claims)
    };
    let now = world.clock.now().unix_timestamp();
    let cases = [
        (with(json!({"exp": now - 1})), WebIdentityRefusal::ExpiredToken.code(), "Token expired"),
        (with(json!({"aud": "kubernetes"})), INVALID, "Incorrect token audience"),
        (with(json!({"azp": "stranger"})), INVALID, "Incorrect token audience"),
        (with(json!({"nbf": now + 600})), INVALID, "not valid before"),
        (
            with(json!({"iss": "https://issuer.example"})),
            INVALID,
            "No OpenIDConnect provider found in your account for https://issuer.example",
        ),
        (by_token("x.y.z"), INVALID, ""),
        (by_token(""), INVALID, ""),
        (by_token(&"a".repeat(100_000)), INVALID, ""),
    ];
    for (query, expected, said) in cases {
        let answer = world.knock(query).await;
        assert_eq!(code(&answer), expected, "{said}");
        let text = answer.unwrap_err().to_string();
        assert!(text.contains(said) && text.len() < 1_000, "{text}");
    }
    // Signed by a key that the issuer does not have, and by one of another kind under a known id.
    let strange = lanyard_oidc::stand_in::SigningKey::generate(Algorithm::Es256, "key-1");
    let mut claims = world.claims(good.clone());
    claims["iss"] = world.issuer.issuer().into();
    assert_eq!(code(&world.knock(by_token(&strange.mint(&claims))).await), INVALID);
    for header in [json!({"alg": "none"}), json!({"alg": "HS256", "kid": "key-1"})] {
        assert_eq!(
            code(&world.knock(by_token(&strange.mint_with(&header, &claims))).await),
            INVALID,
            "{header}"
        );
    }
    // A role of an account that is not here answers as one without the provider.
    let foreign = AssumeRoleWithWebIdentity {
        role_arn: ROLE_ARN.replace(ACCOUNT, "444455556666"),
        ..world.query(good)
    };
    let refused = world.knock(foreign).await;
    assert!(refused.unwrap_err().to_string().contains("No OpenIDConnect provider found"));
}

async fn immunity_10_a_token_is_signed_with_what_sts_takes_and_nothing_else(database: TestDatabase) {
    let world = World::start(&database).await;
    world.role_for(r#""repo:a/b:*""#).await;
    let rsa = world.issuer.add_key(Algorithm::Rs256, "rsa");
    // All are published before the first is asked for: an issuer is not asked again at once.
    let keys: Vec<_> = Algorithm::ALL
        .into_iter()
        .map(|algorithm| match algorithm.as_str().starts_with(['R', 'P']) {
            true => {
                let key = Arc::new(rsa.again(algorithm, algorithm.as_str()));
                world.issuer.add(&key);
                key
            }
            false => world.issuer.add_key(algorithm, algorithm.as_str()),
        })
        .collect();
    let mut claims = world.claims(json!({"sub": "repo:a/b:pull_request"}));
    claims["iss"] = world.issuer.issuer().into();
    let mut taken = Vec::new();
    for key in &keys {
        let name = key.algorithm().as_str();
        match world.knock(by_token(&key.mint(&claims))).await {
            Ok(_) => taken.push(name),
            refused => {
                assert_eq!(code(&refused), INVALID, "{name}");
                let said = refused.unwrap_err().to_string();
                assert!(said.contains(&format!("the token is signed with {name}, ")), "{said}");
            }
        }
    }
    assert_eq!(taken, ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]);
}

async fn immunity_11_a_trust_policy_decides_by_what_the_token_says(database: TestDatabase) {
    let world = World::start(&database).await;
    let job = json!({"sub": "repo:a/b:ref:refs/heads/main", "repository_id": "74", "amr": ["mfa", "pwd"], "run": 7, "fork": false});
    let cases = [
        (r#"{"StringEquals":{"ISSUER:repository_id":"74"}}"#, true),
        (r#"{"StringEquals":{"ISSUER:repository_id":"75"}}"#, false),
        (r#"{"StringEquals":{"ISSUER:none":"74"}}"#, false),
        (r#"{"ForAnyValue:StringEquals":{"ISSUER:amr":"mfa"}}"#, true),
        (r#"{"ForAnyValue:StringEquals":{"ISSUER:amr":"otp"}}"#, false),
        (r#"{"NumericLessThan":{"ISSUER:run":"8"}}"#, true),
        (r#"{"Bool":{"ISSUER:fork":"false"}}"#, true),
        (r#"{"StringEquals":{"other.example:repository_id":"74"}}"#, false),
        (r#"{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}"#, true),
        (r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#, false),
        (r#"{"StringEquals":{"sts:RoleSessionName":"run-17"}}"#, true),
        (r#"{"StringEquals":{"sts:RoleSessionName":"admin"}}"#, false),
        (r#"{"StringEquals":{"aws:ResourceTag/stage":"live"}}"#, true),
        (r#"{"StringEquals":{"iam:ResourceTag/stage":"live"}}"#, true),
        (r#"{"DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}"#, true),
        (r#"{"Null":{"aws:TagKeys":"true"}}"#, true),
    ];
    for (condition, lets_in) in cases {
        world.role(r#""sts:AssumeRoleWithWebIdentity""#, condition).await;
        let answer = world.ask(job.clone()).await;
        assert_eq!(code(&answer), if lets_in { "ok" } else { DENIED }, "{condition}");
    }
    // Not by an action that is for principals of accounts.
    world.role(r#""sts:AssumeRole""#, "{}").await;
    assert_eq!(code(&world.ask(job).await), DENIED);
}

async fn a_role_that_is_not_there_and_one_that_does_not_trust_answer_alike(database: TestDatabase) {
    let world = World::start(&database).await;
    world.role_for(r#""repo:a/b:*""#).await;
    let stranger = json!({"sub": "repo:c/d:pull_request"});
    let untrusted = world.ask(stranger.clone()).await.unwrap_err().to_string();
    assert!(untrusted.contains("Not authorized to perform sts:AssumeRoleWithWebIdentity"), "{untrusted}");
    for arn in ["arn:aws:iam::111122223333:role/none", "arn:aws:iam::111122223333:role/dev"] {
        let absent = AssumeRoleWithWebIdentity { role_arn: arn.to_owned(), ..world.query(stranger.clone()) };
        assert_eq!(world.knock(absent).await.unwrap_err().to_string(), untrusted, "{arn}");
    }
    for bad in ["dev", "arn:aws:iam::111122223333:user/ana"] {
        let no_role = AssumeRoleWithWebIdentity { role_arn: bad.to_owned(), ..world.query(stranger.clone()) };
        assert_eq!(code(&world.knock(no_role).await), "role_arn", "{bad}");
    }
}

async fn tags_and_a_source_identity_come_from_the_token_and_need_permissions_of_their_own(
    database: TestDatabase,
) {
    let world = World::start(&database).await;
    let tags = json!({"principal_tags": {"team": ["a"], "cost": ["1"]}, "transitive_tag_keys": ["team"]});
    let tagged = json!({"sub": "repo:a/b:x", "https://aws.amazon.com/tags": tags});
    let named = json!({"sub": "repo:a/b:x", "https://aws.amazon.com/source_identity": "octocat"});
    let web_identity = r#""sts:AssumeRoleWithWebIdentity""#;
    world.role(web_identity, &for_subjects(r#""repo:a/b:*""#)).await;
    assert_eq!(
        (code(&world.ask(tagged.clone()).await), code(&world.ask(named.clone()).await)),
        (DENIED, DENIED)
    );

    let all = format!("[{web_identity},\"sts:TagSession\",\"sts:SetSourceIdentity\"]");
    let with_tag =
        r#"{"StringLike":{"ISSUER:sub":"repo:a/b:*"},"StringEqualsIfExists":{"aws:RequestTag/team":"a"}}"#;
    world.role(&all, with_tag).await;
    let claims = world.opened(&world.ask(tagged.clone()).await.unwrap());
    assert_eq!(claims.tags, [("team", "a"), ("cost", "1")].map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    assert_eq!(claims.transitive_keys, ["team".to_owned()].into());
    let made = world.ask(named).await.unwrap();
    assert_eq!(made.source_identity.as_deref(), Some("octocat"));
    assert_eq!(world.opened(&made).source_identity.as_deref(), Some("octocat"));
    let other =
        json!({"sub": "repo:a/b:x", "https://aws.amazon.com/tags": {"principal_tags": {"team": ["b"]}}});
    assert_eq!(code(&world.ask(other).await), DENIED, "by its request tag");
    for bad in [
        json!([]),
        json!({"principal_tags": {"aws:x": ["1"]}}),
        json!({"principal_tags": {}, "transitive_tag_keys": ["x"]}),
    ] {
        let refused = world.ask(json!({"sub": "repo:a/b:x", "https://aws.amazon.com/tags": bad})).await;
        assert_eq!(code(&refused), INVALID, "{bad}");
    }
}

async fn durations_and_policies_are_those_of_the_role(database: TestDatabase) {
    let world = World::start(&database).await;
    world.role_for(r#""repo:a/b:*""#).await;
    let ask = |seconds, policy: Option<&str>, name: &str| {
        let query = AssumeRoleWithWebIdentity {
            duration_seconds: seconds,
            session_policy: policy.map(str::to_owned),
            session_name: name.to_owned(),
            ..world.query(json!({"sub": "repo:a/b:x"}))
        };
        world.knock(query)
    };
    for (seconds, expected) in [(900, "ok"), (7_200, "ok"), (899, "duration"), (7_201, "duration")] {
        assert_eq!(code(&ask(seconds, None, "run").await), expected, "{seconds}");
    }
    let policy =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"eks:*","Resource":"*"}]}"#;
    let made = ask(0, Some(policy), "run").await.unwrap();
    assert_eq!(world.opened(&made).session_policy.unwrap().source(), policy);
    assert_eq!(code(&ask(0, Some("{}"), "run").await), "malformed_policy_document");
    assert_eq!(code(&ask(0, None, "a b").await), "session_name");
}

async fn immunity_39_blocks_on_issuer_and_subject_stop_the_exchange(database: TestDatabase) {
    let world = World::start(&database).await;
    world.role_for(r#""repo:a/b:*""#).await;
    let issuer = world.issuer.issuer().to_owned();
    let targets = [
        (BlockTarget::OidcIssuer { issuer: issuer.clone() }, true),
        (BlockTarget::OidcSubject { issuer: issuer.clone(), subject: "repo:a/b:x".to_owned() }, true),
        (BlockTarget::OidcSubject { issuer, subject: "repo:a/b:y".to_owned() }, false),
    ];
    for (target, stops) in targets {
        for scope in [Scope::Hub, Scope::Account(ACCOUNT.parse().unwrap())] {
            let block = block(scope, &target, world.clock.now());
            world.put(&block).await;
            let expected = if stops { WebIdentityRefusal::RejectedClaim.code() } else { "ok" };
            assert_eq!(code(&world.ask(json!({"sub": "repo:a/b:x"})).await), expected, "{scope} {target:?}");
            world.remove(&block).await;
        }
    }
}

async fn immunity_20_a_block_on_the_role_its_account_or_the_session_stops_the_exchange(
    database: TestDatabase,
) {
    let world = World::start(&database).await;
    world.role_for(r#""repo:a/b:*""#).await;
    for (target, stops) in blocks_on_the_role("run-17") {
        for scope in [Scope::Hub, Scope::Account(ACCOUNT.parse().unwrap())] {
            let block = block(scope, &target, world.clock.now());
            world.put(&block).await;
            let answer = world.ask(json!({"sub": "repo:a/b:x"})).await;
            assert_eq!(code(&answer), if stops { DENIED } else { "ok" }, "{scope} {target:?}");
            let names = answer.is_err_and(|error| error.to_string().contains(&block.id.to_string()));
            assert_eq!(names, stops, "whoever put it up has to be found: {scope} {target:?}");
            world.remove(&block).await;
        }
    }
}

async fn an_issuer_whose_keys_are_not_to_be_had_is_no_refusal(database: TestDatabase) {
    let world = World::start(&database).await;
    world.role_for(r#""repo:a/b:*""#).await;
    world.issuer.behave(Behaviour::Status(503));
    let answer = world.ask(json!({"sub": "repo:a/b:x"})).await;
    match &answer {
        Err(CallError::Fault(Fault::Unavailable { part, detail })) => {
            assert_eq!(*part, WebIdentityRefusal::issuer_part(world.issuer.issuer()));
            assert!(detail.contains("issuer_status"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
    // What can be told without keys is told.
    assert_eq!(code(&world.ask(json!({"sub": "repo:a/b:x", "aud": "other one"})).await), INVALID);
    world.issuer.behave(Behaviour::Honest);
    world.clock.advance(Duration::minutes(2));
    assert_eq!(code(&world.ask(json!({"sub": "repo:a/b:x"})).await), "ok");
}

async fn a_provider_that_is_gone_or_changed_counts_at_once(database: TestDatabase) {
    let world = World::start(&database).await;
    world.role_for(r#""repo:a/b:*""#).await;
    let job = json!({"sub": "repo:a/b:x"});
    let scope = Scope::Account(ACCOUNT.parse().unwrap());
    let stored = world.store.load::<OidcProvider>(scope).await.unwrap().1.remove(0);
    assert_eq!(code(&world.ask(job.clone()).await), "ok");
    world.put(&OidcProvider { client_ids: vec!["other".to_owned()], ..stored.clone() }).await;
    assert_eq!(code(&world.ask(job.clone()).await), INVALID, "the client id was removed");
    world.remove(&stored).await;
    assert_eq!(code(&world.ask(job.clone()).await), INVALID);
    world.put(&world.provider()).await;
    assert_eq!(code(&world.ask(job).await), "ok");
}

async fn over_grpc_no_actor_is_needed_and_the_address_is_the_doors(database: TestDatabase) {
    let world = World::start(&database).await;
    world
        .role(r#""sts:AssumeRoleWithWebIdentity""#, r#"{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}"#)
        .await;
    let clock = world.clock.clone();
    let now: lanyard_api::voucher::Now = Arc::new(move || clock.now());
    let vouchers = Vouchers::new([7; 32], Arc::clone(&now));
    let door = Door::vouched(vouchers.key(Audience::Credentials), now);
    let served = Served::new(Arc::clone(&world.engine), door);
    let routes = tonic::service::Routes::new(lanyard_api::credentials::server::sessions(served));
    let remote = Remote::new(admitting(serve_in_process(routes), vouchers));
    let ask =
        |from: Option<IpAddr>, extra: Value| remote.assume_role_with_web_identity(from, world.query(extra));
    let job = || json!({"sub": "repo:a/b:x"});
    assert_eq!(code(&ask(Some(RUNNER.parse().unwrap()), job()).await), "ok");
    assert_eq!(code(&ask(Some("10.0.0.1".parse().unwrap()), job()).await), DENIED);
    assert_eq!(code(&ask(None, job()).await), DENIED);
    assert_eq!(code(&ask(None, json!({"sub": "x", "aud": "y"})).await), INVALID);
}

async fn immunity_28_behind_one_address_one_namespaces_burst_leaves_others_theirs(database: TestDatabase) {
    let quota = |burst| Quota { per_second: 1, burst };
    let config = CredentialsConfig {
        unsigned: UnsignedConfig { per_address: quota(3), ..UnsignedConfig::default() },
        web_identity: WebIdentityConfig { per_namespace: quota(6), ..WebIdentityConfig::default() },
        ..CredentialsConfig::default()
    };
    let world = World::configured(&database, config).await;
    world.role_for(r#""system:serviceaccount:*""#).await;
    let of = |namespace: &str, number: u32| json!({"sub": format!("system:serviceaccount:{namespace}:app"), "jti": number.to_string()});
    let mut answers = Vec::new();
    for number in 0..60 {
        // Half of the calls bear one token, and the others one each.
        let answer = world.ask(of("loud", number * (number % 2))).await;
        answers.push(code(&answer).to_owned());
    }
    let had = answers.iter().filter(|answer| *answer == "ok").count();
    assert!(answers[..6].iter().all(|answer| answer == "ok"), "more than the address has: {answers:?}");
    assert!(had < 50 && answers.iter().all(|answer| answer == "ok" || answer == "fault"), "{answers:?}");
    for number in 0..5 {
        assert_eq!(code(&world.ask(of("quiet", number)).await), "ok", "{number}");
    }
    // What is not verified stays a stranger's.
    let mut refused = 0;
    for _ in 0..60 {
        refused += u32::from(code(&world.knock(by_token("x.y.z")).await) == "fault");
    }
    assert!(refused > 0);
}
