//! What takes the proof of a session away: anything that it descends from.

use lanyard_api::{
    Authority, ClusterUid, OidcProviderId, Scope,
    credentials::PodIdentityAssociationId,
    mapping::{AuthorizerMode, BlockTarget},
    proof::{KinHandles, KinKind, Proof},
};
use lanyard_iam::AccountId;
use time::Duration;

use super::stage::{ABROAD, Compiled, HOME, NOW, Person, Stage, account, get_pods, texts};
use crate::decision::{Lacking, decide};

const MIDDLE_KEY: &str = "LSIA0000000000MIDDLE";
const OWN_KEY: &str = "LSIA0000000000000OWN";

/// `role/last` at home, assumed by the session `ci-17` of `role/middle` abroad, which `ana` at home assumed.
struct Chain {
    stage: Stage,
    last: Person,
    /// The user's.
    access_key: String,
}

impl Chain {
    fn new() -> Self {
        let mut stage = Stage::new(AuthorizerMode::Full);
        let ana = stage.person("ana", "ana", &[]);
        let mut last = stage.person("last", "last", &["devs"]);
        stage.user(HOME, "last", false);
        stage.access_key(HOME, &last.access_key, None);
        stage.role(HOME, "last");
        stage.role(ABROAD, "middle");
        last.entry.principal_arn = format!("arn:aws:iam::{HOME}:role/last").parse().unwrap();
        last.entry.principal_id = Some("AROAlast".to_owned());
        last.access_key = OWN_KEY.to_owned();
        stage.put_entry(&last.entry);
        Self { stage, last, access_key: ana.access_key }
    }

    /// As mapping mints it.
    fn proof(&self) -> Proof {
        let key = &self.stage.keys.all()[0];
        let mut proof = self.stage.proof(&self.last);
        let role = self.last.entry.principal_arn.one().unwrap().canonical();
        proof.handles.session = key.session(&Authority::Local, role.as_str(), "ana");
        let local = &Authority::Local;
        for (kind, handle) in [
            (KinKind::PrincipalId, key.principal_id(local, "AROAmiddle")),
            (KinKind::SessionKey, key.access_key(MIDDLE_KEY)),
            (KinKind::PrincipalId, key.principal_id(local, "AIDAana")),
            (KinKind::AccessKey, key.access_key(&self.access_key)),
            (KinKind::Principal, key.principal(local, &format!("arn:aws:iam::{ABROAD}:role/middle"))),
            (KinKind::Principal, key.session(local, &format!("arn:aws:iam::{ABROAD}:role/middle"), "ci-17")),
            (KinKind::Account, key.account(local, ABROAD)),
            (KinKind::Principal, key.principal(local, &format!("arn:aws:iam::{HOME}:user/ana"))),
        ] {
            proof.kin.add(kind, handle).unwrap();
        }
        proof
    }

    fn code(&self, proof: &Proof) -> &'static str {
        self.stage.code_for(&self.stage.bearing(proof, "last", &texts(&["devs"])))
    }
}

#[test]
fn immunity_36_a_proof_ends_with_anything_that_its_session_descends_from() {
    type Change = fn(&mut Chain);
    let gone: &[(&str, Change)] = &[
        ("the role itself", |chain| chain.stage.no_role(HOME, "last")),
        ("a role in between", |chain| chain.stage.no_role(ABROAD, "middle")),
        ("the user", |chain| chain.stage.user(HOME, "ana", false)),
        ("the key, deactivated", |chain| chain.stage.access_key(HOME, &chain.access_key, Some(false))),
        ("the key, deleted", |chain| chain.stage.access_key(HOME, &chain.access_key, None)),
        ("the account of a role in between", |chain| chain.stage.register(ABROAD, None)),
        ("that account's authority", |chain| chain.stage.register(ABROAD, Some(Authority::Aws))),
        ("sessions of the role itself, revoked", |chain| {
            chain.stage.revoked_role(HOME, "last", NOW + Duration::milliseconds(1));
        }),
        ("sessions of a role in between, revoked", |chain| {
            chain.stage.revoked_role(ABROAD, "middle", NOW + Duration::milliseconds(1));
        }),
    ];
    for (what, change) in gone {
        let mut chain = Chain::new();
        let proof = chain.proof();
        assert_eq!(chain.code(&proof), "nothing_matched", "{what}: before");
        change(&mut chain);
        assert_eq!(chain.code(&proof), "gone", "{what}");
    }
}

#[test]
fn what_was_revoked_before_the_proof_was_minted_or_goes_beside_the_chain_changes_nothing() {
    type Change = fn(&mut Chain);
    let harmless: &[(&str, Change)] = &[
        ("revoked before", |chain| chain.stage.revoked_role(ABROAD, "middle", NOW)),
        ("another user", |chain| {
            chain.stage.user(HOME, "bob", true);
            chain.stage.user(HOME, "bob", false);
        }),
        ("the session's own key has no record", |chain| chain.stage.access_key(HOME, OWN_KEY, None)),
    ];
    for (what, change) in harmless {
        let mut chain = Chain::new();
        change(&mut chain);
        assert_eq!(chain.code(&chain.proof()), "nothing_matched", "{what}");
    }
}

#[test]
fn a_block_on_any_of_the_kin_denies_wherever_it_stands() {
    let principal = |arn: String| BlockTarget::Principal {
        authority: Authority::Local,
        canonical_arn: arn.parse().unwrap(),
    };
    let session = |account: &str, role: &str, name: &str| BlockTarget::Session {
        authority: Authority::Local,
        canonical_arn: format!("arn:aws:iam::{account}:role/{role}").parse().unwrap(),
        session_name: name.to_owned(),
    };
    let key = |id: &str| BlockTarget::AccessKey { access_key_id: id.parse().unwrap() };
    let of = |number: &str| BlockTarget::Account { authority: Authority::Local, account: account(number) };
    let ana = Chain::new().access_key;
    let cases = [
        (principal(format!("arn:aws:iam::{HOME}:user/ana")), true),
        (principal(format!("arn:aws:iam::{HOME}:user/Ana")), true),
        (principal(format!("arn:aws:iam::{ABROAD}:role/middle")), true),
        (principal(format!("arn:aws:iam::{HOME}:role/last")), true),
        (session(HOME, "last", "ana"), true),
        (session(ABROAD, "middle", "ci-17"), true),
        (session(ABROAD, "Middle", "ci-17"), true),
        (session(ABROAD, "middle", "CI-17"), false),
        (session(ABROAD, "middle", "ana"), false),
        (session(HOME, "middle", "ci-17"), false),
        (key(&ana), true),
        (key(MIDDLE_KEY), true),
        (key(OWN_KEY), true),
        (of(HOME), true),
        (of(ABROAD), true),
        (principal(format!("arn:aws:iam::{ABROAD}:user/ana")), false),
        (principal(format!("arn:aws:iam::{HOME}:role/middle")), false),
        (key("LKIA0000000000000BOB"), false),
    ];
    for (target, stops) in cases {
        let cluster = |chain: &Chain| Scope::Cluster(chain.stage.cluster.uid);
        for at in 0..3 {
            let mut chain = Chain::new();
            let scope = [Scope::Hub, Scope::Account(account(HOME)), cluster(&chain)][at];
            let proof = chain.proof();
            chain.stage.block(scope, target.clone());
            let expected = if stops { "blocked" } else { "nothing_matched" };
            assert_eq!(chain.code(&proof), expected, "{scope} {target:?}");
        }
    }
}

#[test]
fn a_user_in_another_account_is_looked_for_there_once_that_is_in_memory() {
    let chain = Chain::new();
    let user = chain.stage.bearing(&chain.proof(), "last", &texts(&["devs"]));
    let review = chain.stage.review(user, get_pods("a"));
    let abroad: AccountId = account(ABROAD);
    let without = chain.stage.compile().without(Scope::Account(abroad));
    assert_eq!(without.lacking(&review), Lacking::Scopes(vec![Scope::Account(abroad)]));

    // Nobody but the accounts that the proof names is asked: what is elsewhere is not the session's kin.
    let mut proof = chain.proof();
    let kin = proof.kin;
    proof.kin = KinHandles::NONE;
    for one in kin.as_slice().iter().filter(|one| one.kind != KinKind::Account) {
        proof.kin.add(one.kind, one.handle).unwrap();
    }
    assert_eq!(chain.code(&proof), "gone");
}

#[test]
fn immunity_36_a_web_identitys_proof_ends_with_the_provider_and_blocks_reach_its_subject() {
    const ISSUER: &str = "https://ci.example";
    let id = OidcProviderId::random();
    let chain = || {
        let mut chain = Chain::new();
        chain.stage.oidc_provider(HOME, ISSUER, Some(id));
        let mut proof = chain.proof();
        let key = &chain.stage.keys.all()[0];
        proof.kin = KinHandles::NONE;
        for (kind, handle) in [
            (KinKind::Provider, key.oidc_provider(&id.to_string())),
            (KinKind::OidcIssuer, key.oidc_issuer(ISSUER)),
            (KinKind::OidcSubject, key.oidc_subject(ISSUER, "repo:a/b")),
        ] {
            proof.kin.add(kind, handle).unwrap();
        }
        (chain, proof)
    };
    let (mut gone, proof) = chain();
    assert_eq!(gone.code(&proof), "nothing_matched");
    gone.stage.oidc_provider(HOME, ISSUER, None);
    assert_eq!(gone.code(&proof), "gone");
    gone.stage.oidc_provider(HOME, ISSUER, Some(OidcProviderId::random()));
    assert_eq!(gone.code(&proof), "gone", "one made anew is another");

    let subject =
        |subject: &str| BlockTarget::OidcSubject { issuer: ISSUER.to_owned(), subject: subject.to_owned() };
    let cases = [
        (BlockTarget::OidcIssuer { issuer: ISSUER.to_owned() }, "blocked"),
        (subject("repo:a/b"), "blocked"),
        (subject("repo:a/c"), "nothing_matched"),
    ];
    for (target, expected) in cases {
        for at in 0..3 {
            let (mut chain, proof) = chain();
            let cluster = Scope::Cluster(chain.stage.cluster.uid);
            let scope = [Scope::Hub, Scope::Account(account(HOME)), cluster][at];
            chain.stage.block(scope, target.clone());
            assert_eq!(chain.code(&proof), expected, "{scope} {target:?}");
        }
    }
}

/// The proof of a pod's session of `role/last`, by an association of this cluster.
fn of_pod(chain: &Chain, cluster: ClusterUid, association: &PodIdentityAssociationId) -> Proof {
    let key = &chain.stage.keys.all()[0];
    let mut proof = chain.proof();
    proof.kin = KinHandles::NONE;
    for (kind, handle) in [
        (KinKind::Cluster, key.cluster(&cluster.to_string())),
        (KinKind::PodIdentityAssociation, key.pod_identity_association(&association.to_string())),
    ] {
        proof.kin.add(kind, handle).unwrap();
    }
    proof
}

#[test]
fn immunity_36_a_pods_proof_ends_with_its_association_and_its_cluster() {
    for elsewhere in [false, true] {
        let mut chain = Chain::new();
        let cluster = if elsewhere { chain.stage.other() } else { chain.stage.cluster.uid };
        let (id, anew) = (PodIdentityAssociationId::random(), PodIdentityAssociationId::random());
        let proof = of_pod(&chain, cluster, &id);
        assert_eq!(chain.code(&proof), "gone", "before it is made");
        chain.stage.pod_identity(cluster, &id, true);
        assert_eq!(chain.code(&proof), "nothing_matched");
        chain.stage.pod_identity(cluster, &id, false);
        chain.stage.pod_identity(cluster, &anew, true);
        assert_eq!(chain.code(&proof), "gone", "one made anew is another");
        chain.stage.pod_identity(cluster, &id, true);
        assert_eq!(chain.code(&proof), "nothing_matched");
        if elsewhere {
            chain.stage.hub.set_cluster(&cluster.to_string(), None);
            assert_eq!(chain.code(&proof), "gone", "the cluster is gone");
        }
    }
}

#[test]
fn an_association_of_another_cluster_than_the_pods_own_is_not_its_kin() {
    let mut chain = Chain::new();
    let (here, other) = (chain.stage.cluster.uid, chain.stage.other());
    let id = PodIdentityAssociationId::random();
    chain.stage.pod_identity(here, &id, true);
    assert_eq!(chain.code(&of_pod(&chain, here, &id)), "nothing_matched");
    assert_eq!(chain.code(&of_pod(&chain, other, &id)), "gone");
    // Nor does one count whose cluster the proof does not name.
    let mut unnamed = of_pod(&chain, here, &id);
    let association = unnamed.kin.as_slice()[1];
    unnamed.kin = KinHandles::NONE;
    unnamed.kin.add(association.kind, association.handle).unwrap();
    assert_eq!(chain.code(&unnamed), "gone");
}

#[test]
fn a_pods_cluster_is_brought_into_memory_when_another_is_asked_about() {
    let mut chain = Chain::new();
    let (other, id) = (chain.stage.other(), PodIdentityAssociationId::random());
    chain.stage.pod_identity(other, &id, true);
    let proof = of_pod(&chain, other, &id);
    let user = chain.stage.bearing(&proof, "last", &texts(&["devs"]));
    let review = chain.stage.review(user, get_pods("a"));
    let without = chain.stage.compile().without(Scope::Cluster(other));
    assert_eq!(without.lacking(&review), Lacking::Scopes(vec![Scope::Cluster(other)]));
}

#[test]
fn a_cluster_by_whose_issuer_a_session_was_made_has_to_be_there_and_not_in_memory() {
    let mut chain = Chain::new();
    let other = chain.stage.other();
    let mut proof = chain.proof();
    proof.kin = KinHandles::NONE;
    proof.kin.add(KinKind::Cluster, chain.stage.keys.all()[0].cluster(&other.to_string())).unwrap();
    let user = chain.stage.bearing(&proof, "last", &texts(&["devs"]));
    let review = chain.stage.review(user, get_pods("a"));
    let without = chain.stage.compile().without(Scope::Cluster(other));
    assert_eq!(decide(&without, &review, NOW).unwrap().reason.code(), "nothing_matched");
    chain.stage.hub.set_cluster(&other.to_string(), None);
    assert_eq!(chain.code(&proof), "gone");
}

#[test]
fn immunity_36_a_pods_kin_are_gone_only_where_what_is_known_is_as_new_as_the_question() {
    for elsewhere in [false, true] {
        let mut chain = Chain::new();
        let cluster = if elsewhere { chain.stage.other() } else { chain.stage.cluster.uid };
        let id = PodIdentityAssociationId::random();
        let proof = of_pod(&chain, cluster, &id);
        let user = chain.stage.bearing(&proof, "last", &texts(&["devs"]));
        let review = chain.stage.review(user, get_pods("a"));
        let code = |compiled: &Compiled| decide(compiled, &review, NOW).unwrap().reason.code();
        let key = &chain.stage.keys.all()[0];
        let association = key.pod_identity_association(&id.to_string());
        let named = key.cluster(&cluster.to_string());
        // It was made a moment ago: the answer waits for what the store has, and is the store's.
        assert_eq!(chain.stage.compile().behind().lacking(&review), Lacking::Newer(association));
        assert_eq!(code(&chain.stage.compile()), "gone");
        // What is known to be there needs no look, and what is gone is looked for once more.
        chain.stage.pod_identity(cluster, &id, true);
        assert_eq!(code(&chain.stage.compile().behind()), "nothing_matched");
        chain.stage.pod_identity(cluster, &id, false);
        assert_eq!(chain.stage.compile().behind().lacking(&review), Lacking::Newer(association));
        // What was looked for once is not looked for again; another is.
        assert_eq!(code(&chain.stage.compile().behind().having_met(association)), "gone");
        let of_other = chain.stage.compile().behind().having_met(named);
        assert_eq!(of_other.lacking(&review), Lacking::Newer(association));
        if elsewhere {
            chain.stage.pod_identity(cluster, &id, true);
            chain.stage.hub.set_cluster(&cluster.to_string(), None);
            let behind = || chain.stage.compile().behind();
            assert_eq!(
                behind().having_met(association).lacking(&review),
                Lacking::Newer(named),
                "the cluster"
            );
            assert_eq!(code(&behind().having_met(named)), "gone", "the cluster");
            assert_eq!(code(&chain.stage.compile()), "gone", "the cluster");
        }
    }
}

/// A user's own session has no name, and no record of its key.
#[test]
fn immunity_36_a_users_own_session_ends_with_the_key_that_made_it() {
    let mut stage = Stage::new(AuthorizerMode::Full);
    let mut ana = stage.person("ana", "ana", &["devs"]);
    let long_term = std::mem::replace(&mut ana.access_key, OWN_KEY.to_owned());
    let mut proof = stage.proof(&ana);
    let key = stage.keys.all()[0].clone();
    for (kind, handle) in [
        (KinKind::PrincipalId, key.principal_id(&Authority::Local, "AIDAana")),
        (KinKind::AccessKey, key.access_key(&long_term)),
    ] {
        proof.kin.add(kind, handle).unwrap();
    }
    let code = |stage: &Stage| stage.code_for(&stage.bearing(&proof, "ana", &texts(&["devs"])));
    assert_eq!(code(&stage), "nothing_matched");
    stage.access_key(HOME, &long_term, Some(false));
    assert_eq!(code(&stage), "gone");
}
