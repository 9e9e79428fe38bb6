use std::collections::BTreeSet;

use lanyard_api::{
    ActorKind, Mutation, Scope, Vouched,
    authn::accounts::IamRole,
    credentials::{
        Associations, Issuers, PodCredentials, PodIdentityAssociationRef, PublishIssuerKey,
        UpdatePodIdentityAssociation, Vend, VendedAssociation,
    },
    mapping::Node,
};
use lanyard_credentials::{Credentials, CredentialsConfig, VendConfig};
use lanyard_iam::Ancestor;
use lanyard_oidc::{Algorithm, stand_in::SigningKey};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use time::Duration;

use crate::{bearers::*, bench::*};

const NARROW: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;
pub(crate) const TARGET: &str = "arn:aws:iam::444455556666:role/data";

fn key_of(vended: &PodCredentials) -> &str {
    vended.credentials.access_key_id.as_str()
}

pub(crate) async fn a_pod_gets_a_session_of_its_associations_role(bench: &Bench, calls: &impl Vend) {
    let association = bench.ready().await;
    let vended = bench.vend(calls, &token()).await.unwrap();
    assert_eq!(vended.subject.to_string(), "team-a/bot");
    assert_eq!((&*vended.audience, vended.account), ("pods.eks.amazonaws.com", account(HOME)));
    let VendedAssociation { arn, id, revision } = &vended.association;
    assert_eq!(*arn, format!("arn:aws:eks:eu-central-1:{HOME}:podidentityassociation/dev/{id}"));
    assert_eq!((id, revision.0 > 0), (&association.id, true));
    let begins = format!("arn:aws:sts::{HOME}:assumed-role/app/eks-dev-web-1-");
    assert!(vended.user.arn.starts_with(&begins), "{}", vended.user.arn);
    let session = vended.user.arn.rsplit('/').next().unwrap();
    assert_eq!(vended.user.id, format!("AROA{:A>17}:{session}", "APP"));
    assert_eq!(
        vended.credentials.expires_at,
        NOON + Duration::hours(1),
        "the role's own maximum is the least"
    );

    let claims = bench.opened(&vended.credentials);
    let tags: Vec<_> = claims.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(
        tags,
        [
            ("eks-cluster-arn", "arn:aws:eks:eu-central-1:111122223333:cluster/dev"),
            ("eks-cluster-name", "dev"),
            ("kubernetes-namespace", "team-a"),
            ("kubernetes-pod-name", "web-1"),
            ("kubernetes-pod-uid", "2c5b5a0e-5a49-4d9c-8f0c-c1f8a5d0c4b7"),
            ("kubernetes-service-account", "bot"),
        ]
    );
    assert_eq!(claims.transitive_keys, claims.tags.keys().cloned().collect::<BTreeSet<_>>());
    assert_eq!((claims.chain_depth, &claims.session_policy), (0, &None));
    let ancestors = [
        Ancestor::Cluster(bench.cluster.uid.to_string()),
        Ancestor::Association { id: id.to_string(), revision: revision.0 },
    ];
    assert_eq!(claims.ancestors, ancestors);
}

pub(crate) async fn credentials_live_six_hours_where_the_role_lets_them(bench: &Bench, calls: &impl Vend) {
    bench.ready().await;
    for (role_max, expected) in [(43_200, 21_600), (21_600, 21_600), (7_200, 7_200)] {
        let stored: IamRole = bench.stored(Scope::Account(account(HOME)), "app").await;
        put(&bench.store, &IamRole { session_seconds_max: role_max, ..stored }).await;
        let vended = bench.vend(calls, &token()).await.unwrap();
        assert_eq!(vended.credentials.expires_at - NOON, Duration::seconds(expected), "{role_max}");
    }
}

pub(crate) async fn tags_are_left_out_and_a_policy_narrows_where_the_association_says_so(
    bench: &Bench,
    calls: &impl Vend,
) {
    bench.knows(&[&own_key()]).await;
    bench.role("app", PODS_OF_DEV).await;
    bench
        .associate(|asked| {
            asked.disable_session_tags = Some(true);
            asked.policy = Some(NARROW.to_owned());
        })
        .await;
    let claims = bench.opened(&bench.vend(calls, &token()).await.unwrap().credentials);
    assert!(claims.tags.is_empty() && claims.transitive_keys.is_empty());
    assert_eq!(claims.session_policy.unwrap().source(), NARROW);
}

pub(crate) async fn with_target(bench: &Bench, trust: &str, disable_session_tags: bool) {
    bench.knows(&[&own_key()]).await;
    bench.role("app", PODS_OF_DEV).await;
    bench.role_of(ABROAD, "data", trust).await;
    bench
        .associate(|asked| {
            asked.target_role_arn = Some(TARGET.to_owned());
            asked.disable_session_tags = Some(disable_session_tags);
        })
        .await;
}

pub(crate) async fn a_target_role_is_a_second_hop_of_59_minutes(bench: &Bench, calls: &impl Vend) {
    with_target(bench, &trusting("app", Value::Null), false).await;
    let refused = bench.vend(calls, &token()).await;
    assert_eq!(why(&refused), "pod_identity_denied");
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("the role's own policies have to allow it too"), "{text}");
    bench.lets_assume("app", TARGET).await;
    let vended = bench.vend(calls, &token()).await.unwrap();
    assert!(vended.user.arn.starts_with(&format!("arn:aws:sts::{ABROAD}:assumed-role/data/eks-dev-web-1-")));
    assert_eq!(vended.account, account(ABROAD));
    assert_eq!(vended.credentials.expires_at, NOON + Duration::minutes(59));
    let claims = bench.opened(&vended.credentials);
    assert_eq!((claims.chain_depth, claims.tags.len(), claims.transitive_keys.len()), (1, 6, 6));
    let role = Ancestor::Role(format!("AROA{:A>17}", "APP").parse().unwrap());
    assert_eq!(claims.ancestors[0], role, "a first role that is gone or revoked takes the session along");
    assert_eq!(claims.ancestors.len(), 3);
}

pub(crate) async fn the_target_roles_external_id_is_the_associations(bench: &Bench, calls: &impl Vend) {
    let demands = |id: &str| trusting("app", json!({ "StringEquals": { "sts:ExternalId": id } }));
    let own = format!("eu-central-1/{HOME}/dev/team-a/bot");
    with_target(bench, &demands(&own), true).await;
    bench.lets_assume("app", TARGET).await;
    assert_eq!(why(&bench.vend(calls, &token()).await), "vended");
    bench.role_of(ABROAD, "data", &demands(&format!("eu-central-1/{HOME}/dev/team-b/bot"))).await;
    let refused = bench.vend(calls, &token()).await.unwrap_err().to_string();
    assert!(refused.contains("sts:ExternalId"), "{refused}");
    // Where the session has tags, these say who it is, and EKS sends no external id.
    let named = PodIdentityAssociationRef {
        cluster: dev(),
        id: bench
            .engine
            .associations(bench.cluster.uid)
            .await
            .unwrap()
            .of("team-a", "bot")
            .unwrap()
            .id
            .clone(),
    };
    let change = UpdatePodIdentityAssociation { disable_session_tags: Some(false), ..Default::default() };
    let by = Mutation::by(actor_of(HOME));
    bench.engine.update_pod_identity_association(by, named, change).await.unwrap();
    bench.role_of(ABROAD, "data", &demands(&own)).await;
    assert_eq!(why(&bench.vend(calls, &token()).await), "pod_identity_denied");
}

pub(crate) async fn a_target_role_that_does_not_trust_or_is_not_there_is_told(
    bench: &Bench,
    calls: &impl Vend,
) {
    with_target(bench, &trusting("other", Value::Null), false).await;
    bench.lets_assume("app", TARGET).await;
    let refused = bench.vend(calls, &token()).await.unwrap_err().to_string();
    assert!(refused.contains("the trust policy does not name it"), "{refused}");
    bench.unrole(ABROAD, "data").await;
    let refused = bench.vend(calls, &token()).await.unwrap_err().to_string();
    assert!(refused.contains("target_missing"), "{refused}");
}

pub(crate) async fn the_same_pod_gets_what_it_has_and_another_pod_never_does(
    bench: &Bench,
    calls: &impl Vend,
) {
    bench.ready().await;
    let own = own_key();
    let first = bench.vend(calls, &token()).await.unwrap();
    let renewed = own.mint(&with(|claims| claims["jti"] = "another token of the same pod".into()));
    for token in [token(), renewed] {
        let again = bench.vend(calls, &token).await.unwrap();
        assert_eq!(key_of(&again), key_of(&first));
        let secret = |vended: &PodCredentials| vended.credentials.session_token.expose_secret().to_owned();
        assert_eq!(secret(&again), secret(&first));
    }
    let mut seen: BTreeSet<String> = [key_of(&first).to_owned()].into();
    for (pointer, value) in [
        ("/kubernetes.io/pod/uid", "another-uid"),
        ("/kubernetes.io/pod/name", "web-2"),
        ("/kubernetes.io/serviceaccount/uid", "made-anew"),
        ("/kubernetes.io/node/uid", "another-node"),
    ] {
        let token = own.mint(&with(|claims| *claims.pointer_mut(pointer).unwrap() = value.into()));
        let vended = bench.vend(calls, &token).await.unwrap();
        assert!(seen.insert(key_of(&vended).to_owned()), "{pointer}");
    }
    // A role that was changed is another state.
    bench.role("app", PODS).await;
    assert!(seen.insert(key_of(&bench.vend(calls, &token()).await.unwrap()).to_owned()));
    bench.clock.advance(Duration::minutes(6));
    assert!(seen.insert(key_of(&bench.vend(calls, &token()).await.unwrap()).to_owned()), "old enough");
}

pub(crate) async fn immunity_28_one_namespaces_burst_starves_no_other(bench: &Bench, _: &impl Vend) {
    bench.ready().await;
    bench.associate(|asked| asked.namespace = "team-b".to_owned()).await;
    let quota = lanyard_kit::limits::Quota { per_second: 1, burst: 3 };
    let vend = VendConfig { per_namespace: quota, bad_tokens_per_node: quota, ..VendConfig::default() };
    let config = CredentialsConfig { vend, ..CredentialsConfig::default() };
    let engine = Credentials::new(&bench.store, config).unwrap();
    let (loud, quiet) = (token(), own_key().mint(&of_account("team-b", "bot")));
    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.push(why(&bench.vend(&engine, &loud).await));
    }
    assert_eq!(answers.iter().filter(|answer| *answer == "vended").count(), 3, "{answers:?}");
    assert_eq!(answers.last().unwrap(), "throttled");
    assert_eq!(why(&bench.vend(&engine, &quiet).await), "vended");
    for expected in ["pod_token_invalid", "pod_token_invalid", "pod_token_invalid", "throttled"] {
        assert_eq!(why(&bench.vend(&engine, "a.b.c").await), expected);
    }
    assert_eq!(why(&bench.vend(&engine, &quiet).await), "vended", "bad tokens are another budget");
}

pub(crate) async fn a_rotation_of_the_issuers_keys_cuts_nobody_off(bench: &Bench, calls: &impl Vend) {
    bench.ready().await;
    let next = SigningKey::generate(Algorithm::Es256, "next");
    let fresh = next.mint(&claims());
    // The API server signs by it already, and the hub will hear of it.
    let early = bench.vend(calls, &fresh).await;
    assert_eq!(why(&early), "unavailable", "{early:?}");
    bench.knows(&[&next, &own_key()]).await;
    for token in [&fresh, &token()] {
        assert_eq!(why(&bench.vend(calls, token).await), "vended");
    }
    bench.knows(&[&next]).await;
    assert_eq!(why(&bench.vend(calls, &fresh).await), "vended");
    bench.clock.advance(Duration::minutes(4));
    assert_eq!(
        why(&bench.vend(calls, &token()).await),
        "pod_token_invalid",
        "a key that ended, and no new one"
    );
}

pub(crate) async fn while_an_issuer_changes_its_name_tokens_of_both_vend(bench: &Bench, calls: &impl Vend) {
    bench.ready().await;
    let (next, published) = (
        SigningKey::generate(Algorithm::Es256, "next"),
        format!("https://hub.example/id/{}", bench.cluster.uid),
    );
    let asked = PublishIssuerKey { jwk: next.jwk().to_string(), issuer_url: None };
    bench.engine.publish_issuer_key(Mutation::by(actor_of(HOME)), dev(), asked).await.unwrap();
    let of = |issuer: &str| with(|claims| claims["iss"] = issuer.into());
    for (what, token, expected) in [
        ("the name before", token(), "vended"),
        ("the name after", next.mint(&of(&published)), "vended"),
        ("the key before under the name after", own_key().mint(&of(&published)), "pod_token_invalid"),
        ("the key after under the name before", next.mint(&of(ISSUER)), "pod_token_invalid"),
        ("another name", next.mint(&of("https://issuer.example/other")), "pod_token_invalid"),
    ] {
        bench.clock.advance(Duration::minutes(4));
        assert_eq!(why(&bench.vend(calls, &token).await), expected, "{what}");
    }
}

pub(crate) async fn without_an_issuer_there_is_no_answer(bench: &Bench, calls: &impl Vend) {
    bench.role("app", PODS_OF_DEV).await;
    bench.associate(|_| {}).await;
    assert_eq!(why(&bench.vend(calls, &token()).await), "unavailable");
}

pub(crate) async fn immunity_48_who_signs_vends_as_the_node_that_is_bound_to_their_key(
    bench: &Bench,
    calls: &impl Vend,
) {
    bench.ready().await;
    let role = format!("arn:aws:iam::{HOME}:role/nodes");
    put(
        &bench.store,
        &Node {
            cluster: bench.cluster.uid,
            instance_id: "i-0123456789abcdef0".to_owned(),
            private_dns_name: NODE.to_owned(),
            role_arn: Some(role),
            access_key_id: Some("LKIAOPERATOROPERATOR".parse().unwrap()),
        },
    )
    .await;
    let session = |name: &str, key: &str| {
        let mut by: Vouched<_> = actor_of(HOME);
        if let ActorKind::Principal { arn, lineage, .. } = &mut by.value.kind {
            *arn = format!("arn:aws:sts::{HOME}:assumed-role/nodes/{name}").parse().unwrap();
            lineage.access_key_id = Some("LSIASESSIONSESSION00".parse().unwrap());
            lineage.ancestors = vec![format!("key/{key}")];
        }
        by
    };
    for (by, expected) in [
        (session("i-0123456789abcdef0", "LKIAOPERATOROPERATOR"), "vended"),
        (session("i-0123456789abcdef0", "LKIASOMEBODYELSES000"), "pod_identity_denied"),
        (session("i-0000000000000000", "LKIAOPERATOROPERATOR"), "pod_identity_denied"),
        (actor_of(HOME), "pod_identity_denied"),
        (actor_of(ABROAD), "no cluster"),
        (spoke(bench.cluster.uid), "pod_identity_denied"),
    ] {
        let answer = calls.assume_role_for_pod_identity(by.clone(), request(&token())).await;
        assert_eq!(why(&answer), expected, "{}", by.value.name());
    }
}
