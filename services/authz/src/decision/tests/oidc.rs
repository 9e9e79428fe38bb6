//! Proofs of people whom an OIDC issuer knows.

use lanyard_api::{
    IdentityProviderConfigId, Scope, UserInfo,
    grants::identity_provider_grant,
    mapping::{
        AuthenticationMode, AuthorizerMode, BlockTarget, GrantKind, IdentityProviderConfig,
        IdentityProviderSettings,
    },
    proof::{EXTRA_KEY, KinHandles, Proof, ProofKey},
};
use time::Duration;

use super::stage::{HOME, NOW, REVISION, Stage, account, bare, texts};

const ISSUER: &str = "https://okta.example";

/// Pods may be read by the group `okta:devs`, and by `devs`.
fn stage() -> (Stage, IdentityProviderConfig) {
    let mut stage = Stage::new(AuthorizerMode::Full);
    stage.rbac(
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: all}, rules: [{verbs: ['*'], apiGroups: ['*'], resources: ['*']}]}\n\
         ---\n\
         {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: all}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: all}, subjects: [{kind: Group, name: 'okta:devs', apiGroup: rbac.authorization.k8s.io}, {kind: Group, name: devs, apiGroup: rbac.authorization.k8s.io}]}",
    );
    let settings = IdentityProviderSettings {
        name: "okta".to_owned(),
        issuer_url: ISSUER.to_owned(),
        client_id: "kubernetes".to_owned(),
        username_claim: None,
        username_prefix: Some("okta:".to_owned()),
        groups_claim: Some("groups".to_owned()),
        groups_prefix: Some("okta:".to_owned()),
        required_claims: Default::default(),
        shared_audience: false,
        ca_bundle_pem: None,
        email_verified_may_be_absent: false,
        tags: Default::default(),
    };
    let (id, cluster) = (IdentityProviderConfigId::random(), stage.cluster.uid);
    let config = IdentityProviderConfig { id, cluster, settings, created_at: NOW };
    put(&mut stage, &config);
    (stage, config)
}

fn put(stage: &mut Stage, config: &IdentityProviderConfig) {
    stage.rows.set_identity_provider(&config.id.to_string(), Some(config.clone()));
}

/// The badge that mapping gives, with a proof of this key.
fn log_in(
    stage: &Stage,
    key: &ProofKey,
    config: &IdentityProviderConfig,
    username: &str,
    groups: &[&str],
) -> UserInfo {
    let groups = texts(groups);
    let proof = Proof {
        cluster: stage.cluster.uid,
        grant_kind: GrantKind::IdentityProvider,
        grant: identity_provider_grant(config),
        revision: REVISION,
        handles: key.oidc_handles(ISSUER, "ana"),
        kin: KinHandles::NONE,
        local: false,
        minted_at: NOW,
        not_after: NOW + Duration::seconds(70),
    };
    let extra = [(EXTRA_KEY.into(), vec![proof.mint(key, username, &groups)])].into();
    UserInfo { username: username.to_owned(), uid: String::new(), groups, extra }
}

fn ana(stage: &Stage, config: &IdentityProviderConfig) -> UserInfo {
    log_in(stage, &stage.keys.all()[0], config, "okta:ana", &["okta:devs"])
}

#[test]
fn a_proof_of_an_issuer_stands_in_every_mode_and_rbac_allows() {
    for mode in [AuthenticationMode::ConfigMap, AuthenticationMode::ApiAndConfigMap, AuthenticationMode::Api]
    {
        let (mut stage, config) = stage();
        let cluster = lanyard_api::mapping::Cluster { authentication_mode: mode, ..stage.cluster.clone() };
        stage.put_cluster(cluster);
        assert_eq!(stage.code_for(&ana(&stage, &config)), "rbac", "{mode:?}");
        let guest = log_in(&stage, &stage.keys.all()[0], &config, "okta:ana", &["okta:guests"]);
        assert_eq!(stage.code_for(&guest), "nothing_matched", "{mode:?}");
    }
}

#[test]
fn immunity_39_a_configuration_that_is_gone_or_made_anew_denies_what_rbac_allows() {
    let (mut stage, config) = stage();
    let user = ana(&stage, &config);
    stage.rows.set_identity_provider(&config.id.to_string(), None);
    assert_eq!(stage.code_for(&user), "grant_revoked");
    let anew = IdentityProviderConfig { id: IdentityProviderConfigId::random(), ..config };
    put(&mut stage, &anew);
    assert_eq!(stage.code_for(&user), "grant_revoked");
    assert_eq!(stage.code_for(&ana(&stage, &anew)), "rbac");
}

#[test]
fn immunity_60_a_configuration_that_would_not_give_this_any_more_denies() {
    type Change = fn(&mut IdentityProviderSettings);
    let cases: [(&str, Change, &str); 8] = [
        ("another client id", |s| s.client_id.push('2'), "grant_revoked"),
        ("another username claim", |s| s.username_claim = Some("email".to_owned()), "grant_revoked"),
        ("another groups claim", |s| s.groups_claim = Some("roles".to_owned()), "grant_revoked"),
        ("no groups", |s| s.groups_claim = None, "grant_revoked"),
        (
            "a required claim",
            |s| drop(s.required_claims.insert("hd".to_owned(), "x".to_owned())),
            "grant_revoked",
        ),
        ("another username prefix", |s| s.username_prefix = Some("o:".to_owned()), "grant_revoked"),
        ("another groups prefix", |s| s.groups_prefix = Some("o:".to_owned()), "grant_revoked"),
        ("a tag", |s| drop(s.tags.insert("team".to_owned(), "a".to_owned())), "rbac"),
    ];
    for (what, change, expected) in cases {
        let (mut stage, config) = stage();
        let user = ana(&stage, &config);
        let mut changed = config.clone();
        change(&mut changed.settings);
        put(&mut stage, &changed);
        assert_eq!(stage.code_for(&user), expected, "{what}");
    }
}

#[test]
fn immunity_10_no_proof_of_an_issuer_gives_what_is_reserved() {
    let (mut stage, mut config) = stage();
    config.settings.username_prefix = Some("-".to_owned());
    config.settings.groups_prefix = None;
    put(&mut stage, &config);
    let key = stage.keys.all()[0].clone();
    let of =
        |username: &str, groups: &[&str]| stage.code_for(&log_in(&stage, &key, &config, username, groups));
    assert_eq!(of("ana", &["devs"]), "rbac");
    assert_eq!(of("ana", &["devs", "system:authenticated"]), "rbac", "the API server adds that one");
    for (username, groups) in
        [("ana", ["system:masters"]), ("system:admin", ["devs"]), ("ana", ["lanyard:break-glass"])]
    {
        assert_eq!(of(username, &groups), "grant_revoked", "{username} {groups:?}");
    }
}

#[test]
fn immunity_42_a_block_on_a_subject_or_issuer_denies_in_every_scope() {
    let subject = |issuer: &str, subject: &str| BlockTarget::OidcSubject {
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
    };
    let issuer = |issuer: &str| BlockTarget::OidcIssuer { issuer: issuer.to_owned() };
    let cases = [
        (subject(ISSUER, "ana"), true),
        (issuer(ISSUER), true),
        (subject(ISSUER, "bob"), false),
        (subject("https://dex.example", "ana"), false),
        (issuer("https://dex.example"), false),
    ];
    for (target, holds) in cases {
        for place in 0..3 {
            let (mut stage, config) = stage();
            let scope = [Scope::Hub, Scope::Account(account(HOME)), Scope::Cluster(stage.cluster.uid)][place];
            stage.block(scope, target.clone());
            let expected = if holds { "blocked" } else { "rbac" };
            assert_eq!(stage.code_for(&ana(&stage, &config)), expected, "{target:?} in {scope}");
        }
    }
}

#[test]
fn immunity_31_a_principals_proof_and_an_issuers_are_not_taken_for_each_other() {
    let (mut stage, config) = stage();
    let person = stage.person("ana", "okta:ana", &["okta:devs"]);
    let by_entry = stage.log_in(&person);
    assert_eq!(stage.code_for(&by_entry), "rbac");
    // The entry's number as a configuration's, and the other way round.
    let key = stage.keys.all()[0].clone();
    let minted = |kind: GrantKind, grant| {
        let groups = texts(&["okta:devs"]);
        let proof = Proof {
            cluster: stage.cluster.uid,
            grant_kind: kind,
            grant,
            revision: REVISION,
            handles: key.oidc_handles(ISSUER, "ana"),
            kin: KinHandles::NONE,
            local: false,
            minted_at: NOW,
            not_after: NOW + Duration::seconds(70),
        };
        let extra = [(EXTRA_KEY.into(), vec![proof.mint(&key, "okta:ana", &groups)])].into();
        UserInfo { username: "okta:ana".to_owned(), uid: String::new(), groups, extra }
    };
    assert_eq!(stage.code_for(&minted(GrantKind::IdentityProvider, person.entry.id)), "grant_revoked");
    // An entry's proof is of an account that the cluster trusts, which an issuer is not.
    assert_eq!(stage.code_for(&minted(GrantKind::AccessEntry, person.entry.id)), "grant_revoked");
    assert_eq!(
        stage.code_for(&minted(GrantKind::IdentityProvider, identity_provider_grant(&config))),
        "rbac"
    );
    assert_eq!(stage.code_for(&bare("okta:ana", &["okta:guests"])), "nothing_matched");
}
