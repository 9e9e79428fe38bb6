use std::collections::BTreeMap;

use lanyard_api::{
    Actor, CallError, ClaimValue, Mutated, Mutation, OidcIdentity, OidcProviderId, PageQuery, Scope,
    SignatureUse, Vouched,
    authn::oidc_providers::OidcProvider,
    grants,
    mapping::{
        AccessEntry, AssociateIdentityProvider, AwsAuthEffect, AwsAuthStatus, BlockTarget, Cluster,
        EntryDetail, GrantKind, IdentityProviderConfig, IdentityProviderRef, IdentityProviderSettings,
        MatchedBy, Resolution, Resolve, SHARED_AUDIENCE_TAG, UpdateAccessEntry,
    },
    proof::{EXTRA_KEY, Handle, Proof},
};
use time::Duration;

use crate::{aws_auth::map, bench::*, blocks::block, clusters::proof_keys, entries::change};

/// An issuer of its own for each name, with groups.
pub(crate) fn settings(name: &str) -> IdentityProviderSettings {
    IdentityProviderSettings {
        name: name.to_owned(),
        issuer_url: format!("https://{name}.example"),
        client_id: String::from("kubernetes"),
        username_claim: None,
        username_prefix: Some(format!("{name}:")),
        groups_claim: Some(String::from("groups")),
        groups_prefix: Some(format!("{name}:")),
        required_claims: BTreeMap::new(),
        shared_audience: false,
        ca_bundle_pem: None,
        email_verified_may_be_absent: false,
        tags: BTreeMap::new(),
    }
}

pub(crate) fn issuer(cluster: &Cluster, name: &str) -> AssociateIdentityProvider {
    AssociateIdentityProvider { cluster: cluster.id.clone(), settings: settings(name) }
}

pub(crate) fn provider(cluster: &Cluster, name: &str) -> IdentityProviderRef {
    IdentityProviderRef { cluster: cluster.id.clone(), name: name.to_owned() }
}

fn ana(config: &IdentityProviderConfig, groups: &[&str]) -> OidcIdentity {
    let groups = groups.iter().map(ToString::to_string).collect();
    OidcIdentity {
        config: config.id,
        issuer: config.settings.issuer_url.clone(),
        subject: String::from("ana"),
        claims: BTreeMap::from([
            (String::from("sub"), ClaimValue::Text(String::from("ana"))),
            (String::from("groups"), ClaimValue::Texts(groups)),
        ]),
    }
}

pub(crate) async fn a_configuration_is_associated_described_listed_and_disassociated<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let made = bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, "okta")).await.unwrap();
    let config = &made.value.config;
    assert_eq!((config.cluster, config.created_at, &config.settings), (cluster.uid, NOON, &settings("okta")));
    let arn = format!("arn:aws:eks:us-west-2:{OWN}:identityproviderconfig/dev/oidc/okta/{}", config.id);
    assert_eq!((made.value.arn.as_str(), made.notices.len(), made.confirmed), (arn.as_str(), 0, true));
    bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, "dex")).await.unwrap();
    let described = bench.calls.get_identity_provider(admin(), provider(&cluster, "okta")).await.unwrap();
    assert_eq!(described, made.value);
    let listed = |page| bench.calls.list_identity_providers(admin(), cluster.id.clone(), page);
    let names = |page: &lanyard_api::Page<lanyard_api::mapping::IdentityProviderConfigDetail>| {
        page.items.iter().map(|one| one.config.settings.name.clone()).collect::<Vec<_>>()
    };
    let first = listed(PageQuery { items_max: 1, token: String::new() }).await.unwrap();
    assert_eq!(names(&first), ["dex"]);
    let rest = listed(PageQuery { items_max: 1, token: first.next_token.unwrap() }).await.unwrap();
    assert_eq!((names(&rest), rest.next_token), (vec![String::from("okta")], None));

    let gone =
        bench.calls.disassociate_identity_provider(by(admin()), provider(&cluster, "okta")).await.unwrap();
    assert_eq!((&gone.value, gone.notices.len()), (&made.value, 1));
    for name in ["okta", "none", ""] {
        let described = bench.calls.get_identity_provider(admin(), provider(&cluster, name)).await;
        assert_eq!(code_of(described), "not_found", "{name}");
        let again = bench.calls.disassociate_identity_provider(by(admin()), provider(&cluster, name)).await;
        assert_eq!(code_of(again), "not_found", "{name}");
    }
    // Made anew it is another one.
    let anew = bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, "okta")).await.unwrap();
    assert_ne!(anew.value.config.id, config.id);
}

pub(crate) async fn each_rule_refuses_with_its_own_code<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster().await;
    bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, "okta")).await.unwrap();
    let with = |change: &dyn Fn(&mut IdentityProviderSettings)| {
        let mut asked = issuer(&cluster, "dex");
        change(&mut asked.settings);
        asked
    };
    let text = String::from;
    let cases = [
        (with(&|s| s.name = text("a b")), "provider_name"),
        (with(&|s| s.name = text("okta")), "exists"),
        (with(&|s| s.issuer_url = text("https://okta.example")), "exists"),
        (with(&|s| s.issuer_url = text("http://dex.example")), "issuer_url"),
        (with(&|s| s.client_id = text("")), "client_id"),
        (with(&|s| s.username_claim = Some(text(""))), "claim_name"),
        (with(&|s| s.username_prefix = Some(text("okta:sub:"))), "provider_prefix"),
        (with(&|s| s.groups_prefix = Some(text("system:"))), "provider_prefix"),
        (with(&|s| s.groups_prefix = Some(text("okta:"))), "provider_prefix"),
        (with(&|s| s.required_claims = BTreeMap::from([(text("hd"), text(""))])), "required_claims"),
        (with(&|s| s.ca_bundle_pem = Some(text("x"))), "ca_bundle"),
        (with(&|s| s.tags = BTreeMap::from([(text("aws:a"), text(""))])), "tags"),
    ];
    for (asked, expected) in cases {
        let shown = format!("{:?}", asked.settings);
        assert_eq!(
            code_of(bench.calls.associate_identity_provider(by(admin()), asked).await),
            expected,
            "{shown}"
        );
    }
    let by_spoke =
        bench.calls.associate_identity_provider(by(spoke(cluster.uid)), issuer(&cluster, "dex")).await;
    assert_eq!(code_of(by_spoke), "denied:spoke_call");
}

pub(crate) async fn configurations_are_limited<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster().await;
    let mut large = issuer(&cluster, "large");
    large.settings.required_claims = (0..20).map(|n| (format!("claim-{n}"), "x".repeat(253))).collect();
    let mut other = large.clone();
    large.settings.tags = (0..20).map(|n| (format!("tag-{n}"), "x".repeat(250))).collect();
    bench.calls.associate_identity_provider(by(admin()), large).await.unwrap();
    other.settings =
        IdentityProviderSettings { required_claims: other.settings.required_claims, ..settings("other") };
    assert_eq!(code_of(bench.calls.associate_identity_provider(by(admin()), other).await), "limit");
    for name in ["a", "b"] {
        bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, name)).await.unwrap();
    }
    assert_eq!(
        code_of(bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, "c")).await),
        "limit"
    );
}

pub(crate) async fn the_same_signed_request_is_answered_once_and_then_repeated<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let signed = |digest: u8| -> Mutation {
        let signature = SignatureUse { digest: [digest; 32], expires_at: NOON + Duration::minutes(15) };
        let Vouched { value, .. } = admin();
        Mutation::by(Vouched::in_process(Actor { signature: Some(signature), ..value }))
    };
    let first = bench.calls.associate_identity_provider(signed(1), issuer(&cluster, "okta")).await.unwrap();
    let again = bench.calls.associate_identity_provider(signed(1), issuer(&cluster, "okta")).await.unwrap();
    assert_eq!(again, first);
    let gone =
        bench.calls.disassociate_identity_provider(signed(2), provider(&cluster, "okta")).await.unwrap();
    // A captured request brings nothing back.
    let replayed = bench.calls.associate_identity_provider(signed(1), issuer(&cluster, "okta")).await;
    assert_eq!(code_of(replayed), "replayed");
    assert_eq!(
        code_of(bench.calls.get_identity_provider(admin(), provider(&cluster, "okta")).await),
        "not_found"
    );
    assert_eq!(gone.value, first.value);
}

pub(crate) async fn claims_become_a_badge_with_a_proof_that_verifies<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let made = bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, "okta")).await.unwrap();
    let who = ana(&made.value.config, &["devs", "ops"]);
    let resolved = bench.resolve_any(cluster.uid, who.clone().into()).await.unwrap();
    let Resolution::Mapped(mapped) = resolved else { panic!("{resolved:?}") };
    let user = &mapped.user;
    assert_eq!(
        (user.username.as_str(), user.groups.as_slice()),
        ("okta:ana", &[String::from("okta:devs"), String::from("okta:ops")][..])
    );
    assert_eq!(user.uid, "oidc:https://okta.example#ana");
    assert_eq!(user.extra["lanyard.dev/oidc-issuer"], ["https://okta.example"]);
    assert_eq!(user.extra["lanyard.dev/oidc-subject"], ["ana"]);
    assert_eq!(user.extra.len(), 3);
    let grant = grants::identity_provider_grant(&made.value.config);
    assert_eq!((mapped.grant.kind, mapped.grant.id), (GrantKind::IdentityProvider, grant));
    assert_eq!((mapped.grant.revision, mapped.matched_by), (made.revision, MatchedBy::Issuer));

    let keys = proof_keys(&bench);
    let value = &user.extra[EXTRA_KEY][0];
    let proof = Proof::verify(value, &keys, cluster.uid, &user.username, &user.groups, NOON).unwrap();
    assert_eq!((proof.grant, proof.grant_kind, proof.local), (grant, GrantKind::IdentityProvider, false));
    assert_eq!(proof.handles, keys[0].oidc_handles("https://okta.example", "ana"));
    assert_eq!((proof.handles.access_key, proof.kin.as_slice().len()), (Handle::NONE, 0));
    assert_eq!(proof.not_after, NOON + Duration::seconds(10 + 60));
    let more = [user.groups.as_slice(), &[String::from("okta:admins")]].concat();
    assert!(Proof::verify(value, &keys, cluster.uid, &user.username, &more, NOON).is_err());
}

pub(crate) async fn immunity_52_an_audience_of_two_clusters_is_refused_unless_both_share_it<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let here = bench.cluster().await;
    let there = bench.calls.create_cluster(by(eve()), cluster_named("theirs")).await.unwrap().value;
    let asked = |cluster: &Cluster, shared: bool| {
        let mut asked = issuer(cluster, "okta");
        asked.settings.shared_audience = shared;
        asked
    };
    bench.calls.associate_identity_provider(by(admin()), asked(&here, false)).await.unwrap();
    for shared in [false, true] {
        let error =
            bench.calls.associate_identity_provider(by(eve()), asked(&there, shared)).await.unwrap_err();
        assert_eq!(code(&error), "audience_taken", "{shared}");
        assert!(!error.to_string().contains(here.id.as_str()), "it names no other's cluster: {error}");
    }
    bench.calls.disassociate_identity_provider(by(admin()), provider(&here, "okta")).await.unwrap();
    let first = bench.calls.associate_identity_provider(by(admin()), asked(&here, true)).await.unwrap();
    assert!(first.notices[0].contains("shared"), "{:?}", first.notices);
    let unshared = bench.calls.associate_identity_provider(by(eve()), asked(&there, false)).await;
    assert_eq!(code_of(unshared), "audience_taken");
    let second = bench.calls.associate_identity_provider(by(eve()), asked(&there, true)).await.unwrap();
    assert!(second.notices[0].contains("(1 by now)"), "{:?}", second.notices);
    // The tag says the same where a client has no word for it; another value of it says nothing.
    bench.calls.disassociate_identity_provider(by(eve()), provider(&there, "okta")).await.unwrap();
    let tagged = |value: &str| {
        let mut tagged = asked(&there, false);
        tagged.settings.tags = BTreeMap::from([(SHARED_AUDIENCE_TAG.to_owned(), value.to_owned())]);
        tagged
    };
    let error = bench.calls.associate_identity_provider(by(eve()), tagged("yes")).await.unwrap_err();
    assert_eq!(code(&error), "audience_taken");
    assert!(error.to_string().contains("`lanyard:shared-audience=true`"), "{error}");
    let shared = bench.calls.associate_identity_provider(by(eve()), tagged("true")).await.unwrap();
    assert!(shared.value.config.settings.shared_audience && shared.notices[0].contains("(1 by now)"));
    // Another client id of the issuer is nobody else's affair.
    let mut own = asked(&there, false);
    bench.calls.disassociate_identity_provider(by(eve()), provider(&there, "okta")).await.unwrap();
    own.settings.client_id = String::from("theirs");
    assert!(bench.calls.associate_identity_provider(by(eve()), own).await.unwrap().notices.is_empty());
}

pub(crate) async fn immunity_52_an_audience_that_the_sts_exchanges_is_refused_unless_it_is_shared<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let exchanging = |of: &str, url: &str, client_id: &str| OidcProvider {
        id: OidcProviderId::random(),
        account: account(of),
        issuer_url: url.to_owned(),
        client_ids: vec![String::from("sts.amazonaws.com"), client_id.to_owned()],
        thumbprints: Vec::new(),
        ca_bundle_pem: None,
        tags: BTreeMap::new(),
        created_at: NOON,
    };
    let put = async |provider: &OidcProvider| {
        let scope = Scope::Account(provider.account);
        let mut tx = bench.store.begin("test", &Mutation::system("test"), &[scope]).await.unwrap();
        tx.insert(provider).await.unwrap();
        tx.commit_unrecorded().await.unwrap();
    };
    // Another issuer's, and one of this issuer for something else: what a cluster's own pods have.
    put(&exchanging(OWN, "https://okta.example/", "kubernetes")).await;
    put(&exchanging(OWN, "https://okta.example", "ci")).await;
    bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, "okta")).await.unwrap();
    bench.calls.disassociate_identity_provider(by(admin()), provider(&cluster, "okta")).await.unwrap();

    put(&exchanging(TENANT, "https://okta.example", "kubernetes")).await;
    let error =
        bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, "okta")).await.unwrap_err();
    assert_eq!(code(&error), "audience_taken");
    let text = error.to_string();
    assert!(text.contains("`kubernetes`") && text.contains("`lanyard:shared-audience=true`"), "{text}");
    assert!(!text.contains(TENANT), "it names no other's account: {text}");
    let mut shared = issuer(&cluster, "okta");
    shared.settings.shared_audience = true;
    let made = bench.calls.associate_identity_provider(by(admin()), shared).await.unwrap();
    let [clusters, sts] = made.notices.as_slice() else { panic!("{:?}", made.notices) };
    assert!(clusters.contains("(0 by now)") && sts.contains("shared with the STS"), "{:?}", made.notices);
    assert!(sts.contains("1 by now"), "{sts}");
}

pub(crate) async fn immunity_39_a_configuration_that_is_gone_lets_nobody_in<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let made = bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, "okta")).await.unwrap();
    let who = ana(&made.value.config, &[]);
    assert_eq!(bench.name_of_oidc(&cluster, &who).await, "okta:ana");
    bench.calls.disassociate_identity_provider(by(admin()), provider(&cluster, "okta")).await.unwrap();
    assert_eq!(bench.name_of_oidc(&cluster, &who).await, "provider_gone");
    // Nor does one that is made anew under its name: what was proven was proven by the other.
    bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, "okta")).await.unwrap();
    assert_eq!(bench.name_of_oidc(&cluster, &who).await, "provider_gone");
}

pub(crate) async fn immunity_31_an_entrys_template_never_becomes_somebody_of_an_issuer<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let made = bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, "okta")).await.unwrap();
    let dev = of(OWN, "role/team/dev");
    let refused = |answer: Result<Mutated<EntryDetail>, CallError>, username: &str| match answer {
        Err(CallError::Invalid { rule: "reserved_username", message, .. }) => {
            for part in [username, "prefix `okta:`", "configuration `okta`", "choose another username"] {
                assert!(message.contains(part), "{message}");
            }
        }
        other => panic!("{username}: {other:?}"),
    };
    for username in ["okta:{{SessionName}}", "okta:{{PrincipalName}}", "okta:root"] {
        let mut posing = entry(&cluster, &dev);
        posing.username = Some(username.to_owned());
        refused(bench.calls.create_entry(by(admin()), posing).await, username);
    }
    let standing = bench.entry(&cluster, &dev).await.value.entry;
    let username = "okta:{{SessionName}}";
    let posing = UpdateAccessEntry { username: Some(username.to_owned()), ..change(&cluster, &dev) };
    refused(bench.calls.update_entry(by(admin()), posing).await, username);
    // One of before that was refused.
    bench.write(&AccessEntry { username: username.to_owned(), ..standing }).await;
    let session = identity(&of(OWN, "assumed-role/dev/ana"), "AROADEV");
    assert_eq!(bench.name_of_oidc(&cluster, &ana(&made.value.config, &[])).await, "okta:ana");
    assert_eq!(bench.name_of(&cluster, &session).await, "template_refused");
    bench.calls.disassociate_identity_provider(by(admin()), provider(&cluster, "okta")).await.unwrap();
    assert_eq!(bench.name_of(&cluster, &session).await, "okta:ana");
}

pub(crate) async fn immunity_44_no_session_is_called_as_somebody_of_an_issuer_without_a_prefix<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let push = async |username: &str| {
        bench.calls.push_aws_auth(by(admin()), cluster.id.clone(), map("ops", username)).await.unwrap().value
    };
    let mut asked = issuer(&cluster, "corp");
    asked.settings.username_prefix = Some(String::from("-"));
    // Of templates of entries the name of whoever fits alone can be anybody's.
    let users = of(OWN, "user/*");
    let mut several = entry(&cluster, &users);
    several.username = Some(String::from("{{PrincipalName}}"));
    bench.calls.create_entry(by(admin()), several).await.unwrap();
    let refused =
        async |whose: &str| match bench.calls.associate_identity_provider(by(admin()), asked.clone()).await {
            Err(CallError::Invalid { rule: "provider_prefix", message, .. }) => {
                assert!(message.contains(whose) && message.contains("username_prefix"), "{message}");
            }
            other => panic!("{other:?}"),
        };
    refused(&users).await;
    bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &users)).await.unwrap();
    push("'{{SessionNameRaw}}'").await;
    refused("mapRoles[0] of aws-auth").await;
    push("'ops:{{SessionNameRaw}}'").await;
    let made = bench.calls.associate_identity_provider(by(admin()), asked).await.unwrap();

    let named = |name: &str| OidcIdentity {
        claims: BTreeMap::from([(String::from("sub"), ClaimValue::Text(name.to_owned()))]),
        ..ana(&made.value.config, &[])
    };
    let cto = identity(&of(OWN, "assumed-role/ops/cto@corp.example"), "AROAOPS");
    assert_eq!(bench.name_of(&cluster, &cto).await, "ops:cto@corp.example");
    assert_eq!(bench.name_of_oidc(&cluster, &named("cto@corp.example")).await, "cto@corp.example");
    assert_eq!(bench.name_of_oidc(&cluster, &named("ops:cto@corp.example")).await, "template_refused");
    // The line is the role's however it is written, and the name is as IAM has it.
    let other_case = map("Ops", "'{{PrincipalName}}:{{SessionName}}'");
    bench.calls.push_aws_auth(by(admin()), cluster.id.clone(), other_case).await.unwrap();
    let chief = identity(&of(OWN, "assumed-role/ops/chief"), "AROAOPS");
    assert_eq!(bench.name_of(&cluster, &chief).await, "ops:chief");
    assert_eq!(bench.name_of_oidc(&cluster, &named("ops:chief")).await, "template_refused");
    let pushed = push("'{{SessionNameRaw}}'").await;
    let [finding] = pushed.findings.as_slice() else { panic!("{:?}", pushed.findings) };
    assert_eq!((finding.effect, finding.path.as_str()), (AwsAuthEffect::Kept, "mapRoles[0].username"));
    assert!(finding.message.contains("configuration `corp`"), "{}", finding.message);
    assert_eq!(bench.name_of(&cluster, &cto).await, "template_refused");
    assert_eq!(bench.name_of_oidc(&cluster, &named("cto@corp.example")).await, "cto@corp.example");
    let mut several = entry(&cluster, &users);
    several.username = Some(String::from("{{PrincipalName}}"));
    assert_eq!(code_of(bench.calls.create_entry(by(admin()), several).await), "reserved_username");
}

pub(crate) async fn a_line_of_aws_auth_with_an_issuers_username_is_told_when_it_is_pushed<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let push = async |username: &str| {
        bench.calls.push_aws_auth(by(admin()), cluster.id.clone(), map("ops", username)).await.unwrap().value
    };
    let before = push("'okta:{{SessionName}}'").await;
    assert!(before.findings.is_empty(), "{:?}", before.findings);
    push("ops").await;
    bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, "okta")).await.unwrap();
    let ops = identity(&of(OWN, "assumed-role/ops/ana"), "AROAOPS");
    for (username, told, name) in [
        ("okta:{{SessionName}}", "maps nobody", "template_refused"),
        ("okta:root", "choose another username", "okta:root"),
    ] {
        let pushed = push(&format!("'{username}'")).await;
        assert_eq!(pushed.status, AwsAuthStatus::Accepted);
        let [finding] = pushed.findings.as_slice() else { panic!("{:?}", pushed.findings) };
        assert_eq!(
            (finding.effect, finding.line, finding.path.as_str()),
            (AwsAuthEffect::Kept, 2, "mapRoles[0].username")
        );
        for part in [username, "prefix `okta:`", "configuration `okta`", told] {
            assert!(finding.message.contains(part), "{}", finding.message);
        }
        assert_eq!(bench.name_of(&cluster, &ops).await, name);
    }
    assert!(push("'octa:{{SessionName}}'").await.findings.is_empty());
}

pub(crate) async fn immunity_42_a_block_on_a_subject_or_issuer_beats_the_configuration<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let made = bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, "okta")).await.unwrap();
    let who = ana(&made.value.config, &[]);
    let bob = OidcIdentity { subject: String::from("bob"), ..who.clone() };
    let of_issuer = || String::from("https://okta.example");
    let subject = || BlockTarget::OidcSubject { issuer: of_issuer(), subject: String::from("ana") };
    let everyone = || BlockTarget::OidcIssuer { issuer: of_issuer() };
    let scopes = [
        (Scope::Cluster(cluster.uid), admin()),
        (Scope::Account(account(OWN)), admin()),
        (Scope::Hub, operator()),
    ];
    for (scope, actor) in scopes {
        for (target, stops_bob) in [(subject(), false), (everyone(), true)] {
            let put = bench.calls.create_block(by(actor.clone()), block(scope, target)).await.unwrap().value;
            assert_eq!(bench.name_of_oidc(&cluster, &who).await, "blocked", "{scope}");
            assert_eq!(bench.name_of_oidc(&cluster, &bob).await == "blocked", stops_bob, "{scope}");
            bench.calls.delete_block(by(actor.clone()), scope, put.id).await.unwrap();
            assert_eq!(bench.name_of_oidc(&cluster, &who).await, "okta:ana", "{scope}");
        }
    }
    for target in [
        BlockTarget::OidcIssuer { issuer: String::from("http://okta.example") },
        BlockTarget::OidcSubject { issuer: of_issuer(), subject: String::new() },
    ] {
        let refused = bench.calls.create_block(by(admin()), block(Scope::Cluster(cluster.uid), target)).await;
        assert_eq!(code_of(refused), "block_issuer");
    }
}
