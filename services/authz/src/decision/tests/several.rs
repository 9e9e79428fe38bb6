//! Entries that name several principals, and entries that are bound to somebody else by now.

use lanyard_api::{
    UserInfo,
    mapping::AccessEntry,
    proof::{CANONICAL_ARN_KEY, Proof},
};
use time::Duration;

use super::{
    proofs::{role_in_aws_auth, stage},
    stage::{ABROAD, HOME, NOW, Person, Stage, texts},
};
use crate::snapshot::EntryOf;

/// An entry of the stage, for those whom this names.
fn naming(ana: &Person, principal: &str, username: &str, groups: &[&str]) -> AccessEntry {
    AccessEntry {
        id: lanyard_api::EntryId::random(),
        principal_arn: principal.parse().unwrap(),
        principal_id: None,
        username: username.to_owned(),
        groups: texts(groups),
        ..ana.entry.clone()
    }
}

fn saying(stage: &Stage, proof: &Proof, canonical: Option<&str>) -> UserInfo {
    let mut user = stage.bearing(proof, "bob", &texts(&["devs"]));
    if let Some(canonical) = canonical {
        user.extra.insert(CANONICAL_ARN_KEY.into(), vec![canonical.to_owned()]);
    }
    user
}

#[test]
fn an_entry_for_several_goes_before_aws_auth_for_whom_it_means() {
    let bob = format!("arn:aws:iam::{ABROAD}:role/bob");
    let of = |resource: &str| format!("arn:aws:iam::{ABROAD}:{resource}");
    type Case = (String, &'static str, &'static [&'static str], Option<i64>, &'static str);
    let cases: [Case; 9] = [
        (of("role/b*"), "bob", &["devs"], None, "rbac"),
        (of("role/b*"), "{{PrincipalName}}", &["devs", "more"], None, "rbac"),
        (of("role/b*"), "bob", &["others"], None, "grant_revoked"),
        (of("role/b*"), "b:{{PrincipalName}}", &["devs"], None, "grant_revoked"),
        (of("role/b*"), "bob", &["devs"], Some(0), "grant_revoked"),
        (of("role/c*"), "x", &[], None, "rbac"),
        (of("user/b*"), "x", &[], None, "rbac"),
        (format!("arn:aws:iam::{HOME}:role/b*"), "x", &[], None, "rbac"),
        (format!("arn:aws:sso::{ABROAD}:permission-set/bob"), "x", &[], None, "rbac"),
    ];
    for (principal, username, groups, ends_in, expected) in cases {
        let (mut stage, ana) = stage();
        let proof = role_in_aws_auth(&mut stage, "bob", "devs");
        let mut entry = naming(&ana, &principal, username, groups);
        entry.ends_at = ends_in.map(|seconds| NOW + Duration::seconds(seconds));
        stage.put_entry(&entry);
        let user = saying(&stage, &proof, Some(&bob));
        assert_eq!(stage.code_for(&user), expected, "{principal} {username} {groups:?} {ends_in:?}");
    }
}

#[test]
fn immunity_42_a_review_that_hides_or_forges_whose_it_is_passes_no_entry_for_several() {
    let (mut stage, ana) = stage();
    let proof = role_in_aws_auth(&mut stage, "bob", "devs");
    let silent = saying(&stage, &proof, None);
    assert_eq!(stage.code_for(&silent), "rbac", "no entry of the account names several");
    stage.put_entry(&naming(&ana, &format!("arn:aws:iam::{ABROAD}:role/b*"), "bob", &[]));
    for canonical in [None, Some("role/zed"), Some("user/bob")] {
        let canonical = canonical.map(|resource| format!("arn:aws:iam::{ABROAD}:{resource}"));
        let user = saying(&stage, &proof, canonical.as_deref());
        assert_eq!(stage.code_for(&user), "grant_revoked", "{canonical:?}");
    }
    let mut twice = saying(&stage, &proof, None);
    let both = ["zed", "bob"].map(|name| format!("arn:aws:iam::{ABROAD}:role/{name}"));
    twice.extra.insert(CANONICAL_ARN_KEY.into(), both.to_vec());
    assert_eq!(stage.code_for(&twice), "grant_revoked");
}

#[test]
fn of_entries_from_before_for_one_principal_the_last_counts_as_it_does_for_mapping() {
    // Entries are in no order here, so that one time alone tells nothing.
    for _ in 0..16 {
        let (mut stage, ana) = stage();
        // Written in other letters, before a principal had one entry alone; capitals come first in the order of lists.
        let upper = ana.entry.principal_arn.to_string().replace("user/ana", "user/ANA");
        let other = naming(&ana, &upper, "ana", &["devs"]);
        for principal_id in [ana.entry.principal_id.clone(), None] {
            for entry in [&ana.entry, &other] {
                stage.put_entry(&AccessEntry { principal_id: principal_id.clone(), ..entry.clone() });
            }
            let compiled = stage.rows.compile();
            let found = compiled.entry_of(&stage.handles(&ana));
            let EntryOf::Its(entry) = found else { panic!("{principal_id:?}: {found:?}") };
            assert_eq!(entry.grant.id, ana.entry.id, "{principal_id:?}");
        }
    }
}

#[test]
fn an_entry_for_one_goes_before_the_entry_for_several_that_a_proof_stands_on() {
    let (mut stage, ana) = stage();
    let several = naming(&ana, &format!("arn:aws:iam::{HOME}:user/a*"), "ana", &["devs"]);
    // Ana's own entry is gone: what she has is by the pattern.
    let proof = Proof { grant: several.id, ..stage.proof(&ana) };
    let user = stage.bearing(&proof, "ana", &texts(&["devs"]));
    let mut stage_of = |own: Option<AccessEntry>| {
        let mut own =
            own.unwrap_or_else(|| naming(&ana, &format!("arn:aws:iam::{HOME}:user/zed"), "zed", &[]));
        own.id = ana.entry.id;
        stage.put_entry(&own);
        stage.put_entry(&several);
        stage.code_for(&user)
    };
    assert_eq!(stage_of(None), "rbac");
    assert_eq!(stage_of(Some(ana.entry.clone())), "rbac", "it gives the same");
    assert_eq!(stage_of(Some(AccessEntry { groups: vec![], ..ana.entry.clone() })), "grant_revoked");
    let waits = AccessEntry { principal_id: None, pin_until: Some(NOW), ..ana.entry.clone() };
    assert_eq!(stage_of(Some(waits)), "grant_revoked");
}

#[test]
fn immunity_43_a_proof_of_whom_an_entry_was_bound_to_before_does_not_count() {
    let (mut stage, ana) = stage();
    let user = stage.log_in(&ana);
    let code = |stage: &mut Stage, principal_id: Option<&str>, pin_until| {
        let entry =
            AccessEntry { principal_id: principal_id.map(str::to_owned), pin_until, ..ana.entry.clone() };
        stage.put_entry(&entry);
        stage.code_for(&user)
    };
    assert_eq!(code(&mut stage, Some("AIDAana"), None), "access_policy");
    assert_eq!(code(&mut stage, Some("AIDAanother"), None), "grant_revoked", "it was bound anew");
    assert_eq!(code(&mut stage, None, None), "access_policy", "it is bound to nobody");
    assert_eq!(
        code(&mut stage, None, Some(NOW + Duration::HOUR)),
        "grant_revoked",
        "it waits for whoever comes first"
    );
}
