//! What a proof gives, and what takes it away.

use std::sync::Arc;

use lanyard_api::{
    Authority, EntryId, Scope,
    authz::Attributes,
    authz::{ResourceAttributes, Review, Verdict},
    aws_auth::AwsAuthPart,
    grants::{aws_auth_grant, break_glass_grant},
    mapping::{
        AccessScope, AuthenticationMode, AuthorizerMode, AwsAuthStatus, BlockTarget, BreakGlass, GrantKind,
    },
    proof::{EXTRA_KEY, Handle, Handles, KinHandles, Proof, ProofKey},
};
use time::Duration;

use super::stage::{ABROAD, HOME, NOW, Person, REVISION, Stage, account, bare, get_pods, resource, texts};
use crate::decision::{Lacking, REVIEW_GROUPS_MAX};

const VIEW: &str = "AmazonEKSViewPolicy";

/// Somebody who may view everything, and may do everything by RBAC where it is asked.
pub(super) fn stage() -> (Stage, Person) {
    let mut stage = Stage::new(AuthorizerMode::Full);
    let ana = stage.person("ana", "ana", &["devs"]);
    stage.associate(&ana, VIEW, AccessScope::Cluster, None);
    stage.rbac(
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: all}, rules: [{verbs: ['*'], apiGroups: ['*'], resources: ['*']}]}\n\
         ---\n\
         {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: all}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: all}, subjects: [{kind: Group, name: devs, apiGroup: rbac.authorization.k8s.io}]}",
    );
    (stage, ana)
}

#[test]
fn a_proof_gives_the_access_policies_of_its_entry_before_rbac_is_asked() {
    let (stage, ana) = stage();
    let user = stage.log_in(&ana);
    assert_eq!(stage.code_for(&user), "access_policy");
    let decision = stage.decide(&stage.review(user.clone(), get_pods("a")));
    assert_eq!((decision.verdict, decision.revision), (Verdict::Allow, REVISION));
    let delete = stage.review(user, resource("delete", "", "pods", "a"));
    assert_eq!(stage.decide(&delete).reason.code(), "rbac");
    assert_eq!(stage.code_for(&bare("ana", &["devs"])), "rbac", "the name alone has no access policies");
}

#[test]
fn immunity_40_the_proof_cannot_be_impersonated_even_by_who_may_do_everything() {
    let (stage, ana) = stage();
    let attributes = Attributes::Resource(ResourceAttributes {
        verb: "impersonate".into(),
        group: "authentication.k8s.io".into(),
        resource: "userextras".into(),
        subresource: "Lanyard.dev%2Fproof".into(),
        name: "value".into(),
        ..Default::default()
    });
    for user in [stage.log_in(&ana), bare("root", &["system:masters"]), bare("ana", &["devs"])] {
        let decision = stage.decide(&stage.review(user, attributes.clone()));
        assert_eq!((decision.verdict, decision.reason.code()), (Verdict::Deny, "proof_impersonation"));
    }
}

#[test]
fn immunity_40_a_copied_proof_fits_nobody_else() {
    let (mut stage, ana) = stage();
    let bob = stage.person("bob", "bob", &["devs"]);
    let mut thief = stage.log_in(&bob);
    thief.extra = stage.log_in(&ana).extra;
    assert_eq!(stage.code_for(&thief), "proof_invalid");
    let mut raised = stage.log_in(&ana);
    raised.groups.push("system:masters".to_owned());
    assert_eq!(stage.code_for(&raised), "proof_invalid");
}

#[test]
fn a_proof_that_is_not_one_good_value_denies_whatever_rbac_would_allow() {
    let (stage, ana) = stage();
    let good = stage.log_in(&ana);
    let value = good.extra[EXTRA_KEY][0].clone();
    let altered = if value.ends_with('A') {
        format!("{}B", &value[..value.len() - 1])
    } else {
        format!("{}A", &value[..value.len() - 1])
    };
    let cases: [(&str, Vec<String>, &str); 7] = [
        (EXTRA_KEY, vec![value.clone()], "access_policy"),
        ("Lanyard.Dev/Proof", vec![value.clone()], "access_policy"),
        (EXTRA_KEY, vec![value.clone(), value.clone()], "proof_invalid"),
        (EXTRA_KEY, vec![], "proof_invalid"),
        (EXTRA_KEY, vec![String::new()], "proof_invalid"),
        (EXTRA_KEY, vec![altered], "proof_invalid"),
        (EXTRA_KEY, vec!["x".repeat(1 << 20)], "proof_invalid"),
    ];
    for (key, values, expected) in cases {
        let mut user = good.clone();
        user.extra = [(key.to_owned().into(), values)].into();
        assert_eq!(stage.code_for(&user), expected, "{:?}", user.extra.keys());
    }
}

#[test]
fn immunity_16_a_proof_an_entry_and_an_association_end_at_their_moment() {
    let (mut stage, ana) = stage();
    let soon = NOW + Duration::seconds(30);
    let review = stage.review(stage.log_in(&ana), get_pods("a"));
    let late = NOW + Duration::seconds(61);
    assert_eq!(stage.decide_at(&review, NOW + Duration::seconds(60)).reason.code(), "access_policy");
    assert_eq!(stage.decide_at(&review, late).reason.code(), "proof_invalid");

    stage.associate(&ana, VIEW, AccessScope::Cluster, Some(soon));
    assert_eq!(stage.decide_at(&review, soon - Duration::nanoseconds(1)).reason.code(), "access_policy");
    assert_eq!(stage.decide_at(&review, soon).reason.code(), "rbac");

    let mut ending = ana.entry.clone();
    ending.ends_at = Some(soon);
    stage.put_entry(&ending);
    assert_eq!(stage.decide_at(&review, soon - Duration::nanoseconds(1)).reason.code(), "access_policy");
    assert_eq!(stage.decide_at(&review, soon).reason.code(), "grant_revoked");
}

#[test]
fn immunity_60_an_entry_that_lost_something_denies_and_one_that_only_gained_does_not() {
    let (mut stage, ana) = stage();
    let user = stage.log_in(&ana);
    let cases: [(&str, &[&str], &str); 6] = [
        ("ana", &["devs"], "access_policy"),
        ("ana", &["devs", "ops"], "access_policy"),
        ("ana", &["ops"], "grant_revoked"),
        ("ana", &[], "grant_revoked"),
        ("ana2", &["devs"], "grant_revoked"),
        ("{{SessionName}}:x", &["devs"], "grant_revoked"),
    ];
    for (username, groups, expected) in cases {
        let mut changed = ana.entry.clone();
        (changed.username, changed.groups) = (username.to_owned(), texts(groups));
        stage.put_entry(&changed);
        assert_eq!(stage.code_for(&user), expected, "{username} {groups:?}");
    }
}

#[test]
fn immunity_42_a_deleted_entry_denies_and_one_made_anew_is_another() {
    let (mut stage, ana) = stage();
    let user = stage.log_in(&ana);
    stage.rows.set_entry(&ana.entry.id.to_string(), None);
    assert_eq!(stage.code_for(&user), "grant_revoked");
    let mut anew = ana.entry.clone();
    anew.id = EntryId::random();
    stage.put_entry(&anew);
    assert_eq!(stage.code_for(&user), "grant_revoked");
}

#[test]
fn a_policy_taken_off_is_off_at_once_and_one_put_on_counts_at_once() {
    let (mut stage, ana) = stage();
    let user = stage.log_in(&ana);
    stage.dissociate(&ana, VIEW);
    assert_eq!(stage.code_for(&user), "rbac");
    stage.associate(&ana, "AmazonEKSEditPolicy", AccessScope::Namespace(texts(&["a*"])), None);
    assert_eq!(stage.code_for(&user), "access_policy");
}

#[test]
fn immunity_42_a_block_anywhere_denies_whomever_it_names_in_every_mode() {
    let (arn, key) = (format!("arn:aws:iam::{HOME}:user/ana"), "LKIA0000000000000ANA");
    let targets = [
        BlockTarget::Principal { authority: Authority::Local, canonical_arn: arn.parse().unwrap() },
        BlockTarget::Account { authority: Authority::Local, account: account(HOME) },
        BlockTarget::AccessKey { access_key_id: key.parse().unwrap() },
    ];
    let others = [
        BlockTarget::Principal { authority: Authority::Aws, canonical_arn: arn.parse().unwrap() },
        BlockTarget::Account { authority: Authority::Local, account: account(ABROAD) },
        BlockTarget::AccessKey { access_key_id: "LKIA0000000000000BOB".parse().unwrap() },
    ];
    let scopes =
        |stage: &Stage| [Scope::Hub, Scope::Account(account(HOME)), Scope::Cluster(stage.cluster.uid)];
    for at in 0..3 {
        for mode in [AuthorizerMode::Full, AuthorizerMode::WebhookFirst] {
            for (blocked, targets) in [(true, &targets), (false, &others)] {
                for target in targets {
                    let mut stage = Stage::new(mode);
                    let ana = stage.person("ana", "ana", &["devs"]);
                    stage.associate(&ana, VIEW, AccessScope::Cluster, None);
                    assert_eq!(ana.access_key, key);
                    stage.block(scopes(&stage)[at], target.clone());
                    let expected = if blocked { "blocked" } else { "access_policy" };
                    assert_eq!(stage.code_for(&stage.log_in(&ana)), expected, "{at} {target:?}");
                }
            }
        }
    }
}

#[test]
fn a_block_in_another_account_does_not_reach_this_ones_clusters() {
    let (mut stage, ana) = stage();
    let target = BlockTarget::Account { authority: Authority::Local, account: account(HOME) };
    stage.block(Scope::Account(account(ABROAD)), target);
    assert_eq!(stage.code_for(&stage.log_in(&ana)), "access_policy");
}

#[test]
fn a_blocked_session_is_one_session() {
    let (mut stage, ana) = stage();
    let arn = format!("arn:aws:iam::{HOME}:user/ana");
    let session = |name: &str| {
        let mut proof = stage.proof(&ana);
        proof.handles.session = stage.keys.all()[0].session(&Authority::Local, &arn, name);
        stage.bearing(&proof, "ana", &texts(&["devs"]))
    };
    let (blocked, other) = (session("laptop"), session("phone"));
    let target = BlockTarget::Session {
        authority: Authority::Local,
        canonical_arn: arn.parse().unwrap(),
        session_name: "laptop".to_owned(),
    };
    stage.block(Scope::Hub, target);
    assert_eq!(stage.code_for(&blocked), "blocked");
    assert_eq!(stage.code_for(&other), "access_policy");
    assert_eq!(stage.code_for(&stage.log_in(&ana)), "access_policy");
}

#[test]
fn a_local_principal_and_its_key_have_to_be_alive() {
    let (mut stage, ana) = stage();
    let user = stage.log_in(&ana);
    stage.access_key(HOME, &ana.access_key, Some(false));
    assert_eq!(stage.code_for(&user), "gone", "deactivated");
    stage.access_key(HOME, &ana.access_key, Some(true));
    assert_eq!(stage.code_for(&user), "access_policy");
    stage.access_key(HOME, &ana.access_key, None);
    assert_eq!(stage.code_for(&user), "gone", "deleted");
    stage.access_key(HOME, &ana.access_key, Some(true));
    stage.user(HOME, "ana", false);
    assert_eq!(stage.code_for(&user), "gone", "the user was deleted");
}

#[test]
fn nothing_is_asked_of_a_principal_that_the_hub_does_not_keep() {
    let (mut stage, mut ana) = stage();
    stage.register(HOME, Some(Authority::Aws));
    let mut cluster = stage.cluster.clone();
    cluster.trusted_accounts[0].authority = Authority::Aws;
    stage.put_cluster(cluster);
    ana.entry.authority = Authority::Aws;
    stage.put_entry(&ana.entry);
    stage.user(HOME, "ana", false);
    assert_eq!(stage.code_for(&stage.log_in(&ana)), "access_policy");
}

#[test]
fn an_account_that_is_no_longer_let_in_or_registered_denies() {
    type Change = fn(&mut Stage);
    let cases: [(&str, Change); 3] = [
        ("untrusted", |stage| {
            let mut cluster = stage.cluster.clone();
            cluster.trusted_accounts.clear();
            stage.put_cluster(cluster);
        }),
        ("gone", |stage| stage.register(HOME, None)),
        ("another authority's by now", |stage| stage.register(HOME, Some(Authority::Aws))),
    ];
    for (case, change) in cases {
        let (mut stage, ana) = stage();
        let user = stage.log_in(&ana);
        change(&mut stage);
        assert_eq!(stage.code_for(&user), "grant_revoked", "{case}");
    }
}

#[test]
fn immunity_37_a_cluster_that_took_an_old_ones_name_takes_none_of_its_proofs() {
    let (old, ana) = stage();
    let user = old.log_in(&ana);
    let (mut new, _) = stage();
    new.put_entry(&ana.entry);
    assert_ne!(old.cluster.uid, new.cluster.uid);
    assert_eq!(new.code_for(&user), "proof_invalid");
    let mut of_the_old = new.review(user, get_pods("a"));
    of_the_old.cluster = old.cluster.uid;
    assert_eq!(new.decide(&of_the_old).reason.code(), "proof_invalid");
    Arc::make_mut(&mut of_the_old.user).extra.clear();
    let decision = new.decide(&of_the_old);
    assert_eq!((decision.verdict, decision.evaluation_error.is_some()), (Verdict::NoOpinion, true));
}

#[test]
fn only_grants_that_the_authentication_mode_counts_count() {
    let cases = [
        (AuthenticationMode::Api, "access_policy", "grant_revoked"),
        (AuthenticationMode::ApiAndConfigMap, "access_policy", "rbac"),
        (AuthenticationMode::ConfigMap, "grant_revoked", "rbac"),
    ];
    for (mode, by_entry, by_aws_auth) in cases {
        let (mut stage, ana) = stage();
        let bob = role_in_aws_auth(&mut stage, "bob", "devs");
        let mut cluster = stage.cluster.clone();
        cluster.authentication_mode = mode;
        stage.put_cluster(cluster);
        assert_eq!(stage.code_for(&stage.log_in(&ana)), by_entry, "{mode:?}");
        let user = stage.bearing(&bob, "bob", &texts(&["devs"]));
        assert_eq!(stage.code_for(&user), by_aws_auth, "{mode:?}");
    }
}

/// A role of the account abroad that aws-auth maps; the proof that mapping makes of it.
pub(super) fn role_in_aws_auth(stage: &mut Stage, username: &str, group: &str) -> Proof {
    let arn = format!("arn:aws:iam::{ABROAD}:role/{username}");
    let line = format!("mapRoles:\n- rolearn: {arn}\n  username: {username}\n  groups: [{group}]\n");
    stage.aws_auth(1, &line, AwsAuthStatus::Accepted);
    stage.role(ABROAD, username);
    stage.access_key(ABROAD, "LKIA0000000000ABROAD", Some(true));
    proof_of_line(stage, AwsAuthPart::MapRoles, &arn, &arn, username)
}

fn proof_of_line(stage: &Stage, part: AwsAuthPart, line_key: &str, arn: &str, name: &str) -> Proof {
    let key = &stage.keys.all()[0];
    Proof {
        cluster: stage.cluster.uid,
        grant_kind: GrantKind::AwsAuth,
        grant: aws_auth_grant(stage.cluster.uid, part, &line_key.to_ascii_lowercase()),
        revision: REVISION,
        handles: Handles {
            account: key.account(&Authority::Local, ABROAD),
            principal: key.principal(&Authority::Local, arn),
            principal_id: key.principal_id(&Authority::Local, &format!("AROA{name}")),
            access_key: key.access_key("LKIA0000000000ABROAD"),
            session: Handle::NONE,
        },
        kin: KinHandles::NONE,
        local: true,
        minted_at: NOW,
        not_after: NOW + Duration::minutes(1),
    }
}

#[test]
fn a_line_of_aws_auth_counts_as_it_is_in_the_newest_accepted_version() {
    let (mut stage, _) = stage();
    let proof = role_in_aws_auth(&mut stage, "bob", "devs");
    let user = stage.bearing(&proof, "bob", &texts(&["devs"]));
    assert_eq!(stage.code_for(&user), "rbac");
    stage.aws_auth(2, "mapRoles: []", AwsAuthStatus::Rejected);
    assert_eq!(stage.code_for(&user), "rbac", "a rejected version changes nothing");
    let with = |group: &str| {
        format!(
            "mapRoles:\n- rolearn: arn:aws:iam::{ABROAD}:role/bob\n  username: bob\n  groups: [{group}]\n"
        )
    };
    stage.aws_auth(3, &with("devs, more"), AwsAuthStatus::Accepted);
    assert_eq!(stage.code_for(&user), "rbac");
    stage.aws_auth(4, &with("others"), AwsAuthStatus::Accepted);
    assert_eq!(stage.code_for(&user), "grant_revoked");
    stage.aws_auth(5, "mapRoles: []", AwsAuthStatus::Accepted);
    assert_eq!(stage.code_for(&user), "grant_revoked");
}

#[test]
fn an_entry_goes_before_aws_auth_for_its_principal() {
    let (mut stage, ana) = stage();
    let proof = role_in_aws_auth(&mut stage, "bob", "devs");
    let user = stage.bearing(&proof, "bob", &texts(&["devs"]));
    type Case = (&'static str, &'static [&'static str], Option<&'static str>, Option<i64>, &'static str);
    let cases: [Case; 6] = [
        ("bob", &["devs"], Some("AROAbob"), None, "rbac"),
        ("bob", &["devs", "more"], None, None, "rbac"),
        ("bob", &["others"], Some("AROAbob"), None, "grant_revoked"),
        ("robert", &["devs"], None, None, "grant_revoked"),
        ("bob", &["devs"], Some("AROAanother"), None, "grant_revoked"),
        ("bob", &["devs"], Some("AROAbob"), Some(0), "grant_revoked"),
    ];
    for (username, groups, principal_id, ends_in, expected) in cases {
        let mut entry = ana.entry.clone();
        entry.principal_arn = format!("arn:aws:iam::{ABROAD}:role/path/bob").parse().unwrap();
        entry.principal_id = principal_id.map(str::to_owned);
        (entry.username, entry.groups) = (username.to_owned(), texts(groups));
        entry.ends_at = ends_in.map(|seconds| NOW + Duration::seconds(seconds));
        stage.put_entry(&entry);
        assert_eq!(stage.code_for(&user), expected, "{username} {groups:?} {principal_id:?} {ends_in:?}");
    }
}

#[test]
fn a_line_of_its_own_goes_before_its_account_in_aws_auth() {
    let (mut stage, _) = stage();
    let arn = format!("arn:aws:iam::{ABROAD}:role/bob");
    role_in_aws_auth(&mut stage, "bob", "devs");
    stage.aws_auth(2, &format!("mapAccounts: ['{ABROAD}']"), AwsAuthStatus::Accepted);
    let proof = proof_of_line(&stage, AwsAuthPart::MapAccounts, ABROAD, &arn, "bob");
    let user = stage.bearing(&proof, &arn, &[]);
    assert_eq!(stage.code_for(&user), "nothing_matched");
    let with_line = format!("mapAccounts: ['{ABROAD}']\nmapRoles:\n- rolearn: {arn}\n  username: bob\n");
    stage.aws_auth(3, &with_line, AwsAuthStatus::Accepted);
    assert_eq!(stage.code_for(&user), "grant_revoked");
}

#[test]
fn a_break_glass_identity_may_everything_until_its_hour_is_over() {
    let (mut stage, _) = stage();
    let token_sha256 = "ab".repeat(32);
    let armed = |stage: &Stage, ends_at| BreakGlass {
        cluster: stage.cluster.uid,
        token_sha256: token_sha256.clone(),
        armed_by: String::new(),
        armed_at: NOW,
        ends_at,
        used_at: Some(NOW),
    };
    stage.rows.set_break_glass(Some(&armed(&stage, NOW + Duration::seconds(20))));
    let none = Handles {
        account: Handle::NONE,
        principal: Handle::NONE,
        principal_id: Handle::NONE,
        access_key: Handle::NONE,
        session: Handle::NONE,
    };
    let proof = Proof {
        cluster: stage.cluster.uid,
        grant_kind: GrantKind::BreakGlass,
        grant: break_glass_grant(stage.cluster.uid, &token_sha256),
        revision: REVISION,
        handles: none,
        kin: KinHandles::NONE,
        local: true,
        minted_at: NOW,
        not_after: NOW + Duration::minutes(1),
    };
    let user = stage.bearing(&proof, "lanyard:break-glass:main", &texts(&["lanyard:break-glass"]));
    let review = stage.review(user.clone(), resource("delete", "apps", "deployments", "kube-system"));
    assert_eq!(stage.decide(&review).reason.code(), "access_policy");
    assert_eq!(stage.decide_at(&review, NOW + Duration::seconds(20)).reason.code(), "grant_revoked");
    stage.rows.set_break_glass(None);
    assert_eq!(stage.decide(&review).reason.code(), "grant_revoked");
}

#[test]
fn a_proof_of_an_identity_provider_stands_on_nothing() {
    let (stage, ana) = stage();
    let mut proof = stage.proof(&ana);
    proof.grant_kind = GrantKind::IdentityProvider;
    assert_eq!(stage.code_for(&stage.bearing(&proof, "ana", &texts(&["devs"]))), "grant_revoked");
}

#[test]
fn proofs_of_every_known_key_verify_and_newer_keys_are_asked_for() {
    let (old, new) = (ProofKey::new(1, &[1; 32]), ProofKey::new(2, &[2; 32]));
    let mut earlier = Stage::with_keys(AuthorizerMode::Full, vec![old.clone()]);
    let ana = earlier.person("ana", "ana", &[]);
    earlier.associate(&ana, VIEW, AccessScope::Cluster, None);
    let mut later = Stage::with_keys(AuthorizerMode::Full, vec![new, old]);
    let ana_later = later.person("ana", "ana", &[]);
    let mut proof = earlier.proof(&ana);
    (proof.cluster, proof.grant) = (later.cluster.uid, ana_later.entry.id);
    let by_old = earlier.bearing(&proof, "ana", &[]);
    assert_eq!(later.code_for(&by_old), "nothing_matched");
    let target = BlockTarget::AccessKey { access_key_id: ana.access_key.parse().unwrap() };
    later.block(Scope::Hub, target);
    assert_eq!(later.code_for(&by_old), "blocked", "handles are kept under every key");

    let mut by_new = later.proof(&ana_later);
    (by_new.cluster, by_new.grant) = (earlier.cluster.uid, ana.entry.id);
    let by_new = later.bearing(&by_new, "ana", &[]);
    assert_eq!(earlier.code_for(&by_new), "proof_invalid");
    earlier.newer_keys = true;
    let review = earlier.review(by_new, get_pods("a"));
    assert_eq!(earlier.compile().lacking(&review), Lacking::Keys);
}

#[test]
fn immunity_59_what_cannot_be_weighed_is_denied_with_a_proof_and_no_opinion_without() {
    let (stage, ana) = stage();
    let mut user = stage.log_in(&ana);
    user.groups = (0..=REVIEW_GROUPS_MAX).map(|n| n.to_string()).collect();
    let mut review = stage.review(user, get_pods("a"));
    let decision = stage.decide(&review);
    assert_eq!((decision.verdict, decision.reason.code()), (Verdict::Deny, "unanswerable"));
    assert!(decision.evaluation_error.is_some());
    Arc::make_mut(&mut review.user).extra.clear();
    assert_eq!(stage.decide(&review).verdict, Verdict::NoOpinion);
}

#[test]
fn a_question_names_the_scopes_that_are_not_in_memory() {
    let (stage, ana) = stage();
    let review = stage.review(stage.log_in(&ana), get_pods("a"));
    let (home, abroad, cluster) =
        (Scope::Account(account(HOME)), Scope::Account(account(ABROAD)), Scope::Cluster(stage.cluster.uid));
    let lacking = |scope| stage.compile().without(scope).lacking(&review);
    assert_eq!(lacking(Scope::Hub), Lacking::Scopes(vec![Scope::Hub]));
    for scope in [home, cluster] {
        assert_eq!(lacking(scope), Lacking::Scopes(vec![home, cluster]), "{scope}");
    }
    let without_abroad = stage.compile().without(abroad);
    assert!(
        crate::decision::decide(&without_abroad, &review, NOW).is_ok(),
        "the proof names no account there"
    );
}

#[test]
fn an_entry_in_place_of_a_proof_is_held_to_the_same() {
    let as_entry = |stage: &Stage, ana: &Person, username: &str| {
        let review = stage.review(bare(username, &["devs"]), get_pods("a"));
        stage.decide(&Review { grant: Some(ana.entry.id), ..review }).reason.code()
    };
    let (mut stage, ana) = stage();
    assert_eq!(as_entry(&stage, &ana, "ana"), "access_policy");
    assert_eq!(as_entry(&stage, &ana, "bob"), "grant_revoked");
    let mut ended = ana.entry.clone();
    ended.ends_at = Some(NOW);
    stage.put_entry(&ended);
    assert_eq!(as_entry(&stage, &ana, "ana"), "grant_revoked");
    stage.put_entry(&ana.entry);
    stage.user(HOME, "ana", false);
    assert_eq!(as_entry(&stage, &ana, "ana"), "gone");
    stage.user(HOME, "ana", true);
    stage.access_key(HOME, &ana.access_key, None);
    assert_eq!(as_entry(&stage, &ana, "ana"), "access_policy", "which key it would be is not known");
    stage.block(Scope::Hub, BlockTarget::Account { authority: Authority::Local, account: account(HOME) });
    assert_eq!(as_entry(&stage, &ana, "ana"), "blocked");
    let mut bearing = stage.review(stage.log_in(&ana), get_pods("a"));
    bearing.grant = Some(EntryId::random());
    assert_eq!(stage.decide(&bearing).reason.code(), "blocked", "a proof goes before the entry asked about");
}
