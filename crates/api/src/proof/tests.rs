use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::identity::{Authority, AwsIdentity, IdentityKind, Kin};

fn key(id: u32) -> ProofKey {
    ProofKey::new(id, &[id as u8; 32])
}

fn proof(now: OffsetDateTime) -> Proof {
    let key = key(1);
    Proof {
        cluster: ClusterUid::random(),
        grant_kind: GrantKind::AccessEntry,
        grant: EntryId::random(),
        revision: Revision(7),
        handles: Handles {
            account: key.account(&Authority::Local, "111122223333"),
            principal: key.principal(&Authority::Local, "arn:aws:iam::111122223333:role/dev"),
            principal_id: key.principal_id(&Authority::Local, "AROAX"),
            access_key: key.access_key("LKIAX"),
            session: Handle::NONE,
        },
        kin: KinHandles::NONE,
        local: true,
        minted_at: now.replace_nanosecond(7_000_000).unwrap(),
        not_after: now.replace_nanosecond(0).unwrap() + time::Duration::minutes(1),
    }
}

fn groups(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn a_proof_reads_back_whatever_order_the_groups_come_in() {
    let now = OffsetDateTime::now_utc();
    let proof = proof(now);
    let value = proof.mint(&key(1), "ana", &groups(&["b", "a"]));
    for asked in [&["a", "b"][..], &["b", "a", "system:authenticated"], &["a", "a", "b"]] {
        let read = Proof::verify(&value, &[key(2), key(1)], proof.cluster, "ana", &groups(asked), now);
        assert_eq!(read.as_ref(), Ok(&proof), "{asked:?}");
    }
}

#[test]
fn a_proof_fits_one_user_one_set_of_groups_one_cluster_one_key_and_its_time() {
    let now = OffsetDateTime::now_utc();
    let proof = proof(now);
    let value = proof.mint(&key(1), "ana", &groups(&["a"]));
    let verify = |value: &str, keys: &[ProofKey], cluster, user: &str, names: &[&str], at| {
        Proof::verify(value, keys, cluster, user, &groups(names), at).map(|_| ())
    };
    let (keys, cluster) = ([key(1)], proof.cluster);
    assert_eq!(verify(&value, &keys, cluster, "bob", &["a"], now), Err(ProofError::Mismatch));
    assert_eq!(verify(&value, &keys, cluster, "ana", &[], now), Err(ProofError::Mismatch));
    assert_eq!(
        verify(&value, &keys, cluster, "ana", &["a", "system:masters"], now),
        Err(ProofError::Mismatch)
    );
    assert_eq!(verify(&value, &keys, ClusterUid::random(), "ana", &["a"], now), Err(ProofError::Mismatch));
    assert_eq!(verify(&value, &[key(3)], cluster, "ana", &["a"], now), Err(ProofError::UnknownKey));
    let late = proof.not_after + time::Duration::seconds(1);
    assert_eq!(verify(&value, &keys, cluster, "ana", &["a"], late), Err(ProofError::Expired));
    for bad in ["", "x", &value[1..], &"A".repeat(PROOF_CHARS_MAX), &"A".repeat(PROOF_CHARS_MAX + 1)] {
        assert_eq!(verify(bad, &keys, cluster, "ana", &["a"], now), Err(ProofError::Malformed), "{bad}");
    }
}

#[test]
fn one_changed_character_anywhere_is_refused() {
    let now = OffsetDateTime::now_utc();
    let proof = proof(now);
    let value = proof.mint(&key(1), "ana", &[]);
    for at in 0..value.len() {
        let mut bytes = value.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(Proof::verify(&changed, &[key(1)], proof.cluster, "ana", &[], now).is_err(), "{at}");
    }
}

#[test]
fn a_principals_handle_ignores_letter_case_and_nothing_else() {
    let key = key(1);
    let long = format!("arn:aws:iam::111122223333:user/{}/Ana", "Path".repeat(40));
    for arn in ["arn:aws:iam::111122223333:role/Dev", &long] {
        let of = |arn: &str| (key.principal(&Authority::Aws, arn), key.session(&Authority::Aws, arn, "Ana"));
        assert_eq!(of(arn), of(&arn.to_uppercase()), "{arn}");
        assert_ne!(of(arn), of(&format!("{arn} ")), "{arn}");
        assert_ne!(of(arn).1, key.session(&Authority::Aws, arn, "ana"), "{arn}");
    }
    assert_ne!(key.principal_id(&Authority::Aws, "AROAX"), key.principal_id(&Authority::Aws, "AROAx"));
}

#[test]
fn immunity_12_handles_of_shifted_parts_differ() {
    let key = key(1);
    assert_ne!(key.session(&Authority::Local, "ab", "cd"), key.session(&Authority::Local, "abc", "d"));
    assert_ne!(key.account(&Authority::Aws, "1"), key.account(&Authority::Local, "1"));
    assert_ne!(key.account(&Authority::Aws, "1"), key.access_key("1"));
    assert_ne!(key.oidc_subject("https://a.example", "b"), key.oidc_subject("https://a.exampl", "eb"));
    assert_ne!(key.oidc_issuer("a"), key.access_key("a"));
}

const KEY: &str = "LKIAABCDEFGHIJKLMNOP";
const FAR: &str = "444455556666";

/// A role session of the account 111122223333 that descends from these; from a session, where the ARN is one's.
fn session(ancestors: &[&str], kin: &[&str]) -> AwsIdentity {
    let arn: lanyard_iam::PrincipalArn = "arn:aws:sts::111122223333:assumed-role/dev/ana".parse().unwrap();
    let kin_of = |text: &&str| {
        let arn: lanyard_iam::PrincipalArn = text.parse().unwrap();
        let session_name = arn.session_name().map(str::to_owned);
        Kin { account: arn.account, canonical_arn: arn.canonical(), session_name }
    };
    AwsIdentity {
        authority: Authority::Local,
        account: arn.account,
        partition: arn.partition,
        principal_id: "AROADEV".to_owned(),
        canonical_arn: arn.canonical(),
        principal_arn: None,
        session_name: Some("ana".to_owned()),
        tags: BTreeMap::new(),
        access_key_id: "LSIAABCDEFGHIJKLMNOP".parse().unwrap(),
        kind: IdentityKind::Ordinary,
        ancestors: ancestors.iter().map(ToString::to_string).collect(),
        kin: kin.iter().map(kin_of).collect(),
        arn,
    }
}

#[test]
fn the_kin_of_a_session_are_all_that_it_descends_from() {
    let key = key(1);
    let far_role = format!("arn:aws:iam::{FAR}:role/between");
    let near_user = "arn:aws:iam::111122223333:user/team/ana";
    let ancestors = [
        "role/AROABETWEEN",
        "certificate/:ci-17",
        "key/LSIA1111111111111111",
        "user/AIDAANA",
        &format!("key/{KEY}"),
        "user/AIDAANA",
        "certificate/0aff",
    ];
    let far_session = format!("arn:aws:sts::{FAR}:assumed-role/between/ci-17");
    let identity = session(&ancestors, &[&far_session, near_user, near_user]);
    let kin = key.kin(&identity).unwrap();
    let expected = [
        (KinKind::PrincipalId, key.principal_id(&Authority::Local, "AROABETWEEN")),
        (KinKind::SessionKey, key.access_key("LSIA1111111111111111")),
        (KinKind::PrincipalId, key.principal_id(&Authority::Local, "AIDAANA")),
        (KinKind::AccessKey, key.access_key(KEY)),
        (KinKind::Certificate, key.certificate("0aff")),
        (KinKind::Principal, key.principal(&Authority::Local, &far_role)),
        (KinKind::Principal, key.session(&Authority::Local, &far_role, "ci-17")),
        (KinKind::Account, key.account(&Authority::Local, FAR)),
        (KinKind::Principal, key.principal(&Authority::Local, near_user)),
    ];
    assert_eq!(kin.as_slice(), expected.map(|(kind, handle)| KinHandle { kind, handle }));
    assert_eq!(key.handles(&identity).access_key, key.access_key("LSIAABCDEFGHIJKLMNOP"), "its own");
    assert_eq!(key.kin(&session(&[], &[])).unwrap(), KinHandles::NONE);
}

#[test]
fn the_kin_of_a_web_identity_are_its_provider_issuer_and_subject() {
    let key = key(1);
    let (issuer, subject) = ("https://ci.example", "repo:a/b with a blank");
    let ancestor = |account: &str| format!("provider/{account}/0b1c {issuer} {subject}");
    let own = [
        (KinKind::Provider, key.oidc_provider("0b1c")),
        (KinKind::OidcIssuer, key.oidc_issuer(issuer)),
        (KinKind::OidcSubject, key.oidc_subject(issuer, subject)),
    ];
    let handles = |kin: &[(KinKind, Handle)]| -> Vec<KinHandle> {
        kin.iter().map(|(kind, handle)| KinHandle { kind: *kind, handle: *handle }).collect()
    };
    let here = key.kin(&session(&[&ancestor("111122223333")], &[])).unwrap();
    assert_eq!(here.as_slice(), handles(&own));
    let abroad = key.kin(&session(&[&ancestor(FAR)], &[])).unwrap();
    let account = (KinKind::Account, key.account(&Authority::Local, FAR));
    assert_eq!(abroad.as_slice(), handles(&[&own[..], &[account]].concat()));
}

#[test]
fn the_kin_of_a_pods_session_are_its_cluster_and_association() {
    let key = key(1);
    let kin = key.kin(&session(&["cluster/0b1c", "association/a-1/17"], &[])).unwrap();
    let expected = [
        KinHandle { kind: KinKind::Cluster, handle: key.cluster("0b1c") },
        KinHandle { kind: KinKind::PodIdentityAssociation, handle: key.pod_identity_association("a-1") },
    ];
    assert_eq!(kin.as_slice(), expected);
    // Of whichever revision it was read at, it is the same one.
    let later = key.kin(&session(&["cluster/0b1c", "association/a-1/18"], &[])).unwrap();
    assert_eq!(later, kin);
}

#[test]
fn what_a_proof_cannot_name_gives_no_proof() {
    let user = "arn:aws:iam::111122223333:user/ana";
    let many: Vec<String> = (0..=KIN_MAX).map(|number| format!("key/LSIA{number:016}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let cases = [
        (session(&many, &[]), KinError::TooMany),
        (session(&["provider"], &[]), KinError::Unknown("provider".to_owned())),
        (session(&["provider/x/y z"], &[]), KinError::Unknown("provider/x/y z".to_owned())),
        (session(&["node/x"], &[]), KinError::Unknown("node/x".to_owned())),
        (session(&["association/x"], &[]), KinError::Unknown("association/x".to_owned())),
        (session(&["user/AIDAANA"], &[]), KinError::Unnamed),
        (session(&[], &[user]), KinError::Unnamed),
    ];
    for (identity, expected) in cases {
        assert_eq!(key(1).kin(&identity), Err(expected), "{:?} {:?}", identity.ancestors, identity.kin);
    }
}

/// The longest chain that there may be, each link in an account of its own.
#[test]
fn the_longest_chain_fits_and_somebody_without_a_session_pays_nothing_for_it() {
    let links = usize::from(lanyard_iam::session::SESSION_CHAIN_DEPTH_MAX) + 1;
    let ancestors: Vec<String> =
        (0..links).flat_map(|n| [format!("role/AROA{n}"), format!("key/LSIA{n:016}")]).collect();
    // Whoever stands at its beginning is no session.
    let arn_of = |n: usize| match n {
        0 => "arn:aws:iam::000000000001:user/ana".to_owned(),
        _ => format!("arn:aws:sts::{:012}:assumed-role/r/s{n}", n + 1),
    };
    let kin: Vec<String> = (0..links).map(arn_of).collect();
    let identity = session(
        &ancestors.iter().map(String::as_str).collect::<Vec<_>>(),
        &kin.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let now = OffsetDateTime::now_utc();
    let key = key(1);
    let longest = Proof { handles: key.handles(&identity), kin: key.kin(&identity).unwrap(), ..proof(now) };
    assert_eq!(longest.kin.as_slice().len(), KIN_MAX);
    let value = longest.mint(&key, "ana", &[]);
    assert_eq!(value.len(), PROOF_CHARS_MAX);
    const { assert!(PROOF_CHARS_MAX <= 1300, "an API server keeps one for each person, and audits it") };
    assert_eq!(
        Proof::verify(&value, std::slice::from_ref(&key), longest.cluster, "ana", &[], now),
        Ok(longest)
    );
    assert_eq!(proof(now).mint(&key, "ana", &[]).len(), PROOF_CHARS_MIN);
    let usual = session(&["user/AIDAANA", &format!("key/{KEY}")], &["arn:aws:iam::111122223333:user/ana"]);
    let usual = Proof { handles: key.handles(&usual), kin: key.kin(&usual).unwrap(), ..proof(now) };
    assert_eq!(usual.mint(&key, "ana", &[]).len(), 303);
}

fn any_handle() -> impl Strategy<Value = Handle> {
    any::<[u8; 16]>().prop_map(Handle)
}

fn any_kin() -> impl Strategy<Value = KinHandles> {
    let kinds = [
        KinKind::PrincipalId,
        KinKind::Principal,
        KinKind::AccessKey,
        KinKind::SessionKey,
        KinKind::Account,
        KinKind::Ec2Instance,
    ];
    let one = (proptest::sample::select(kinds.to_vec()), any_handle());
    proptest::collection::vec(one, 0..=KIN_MAX).prop_map(|all| {
        let mut kin = KinHandles::NONE;
        all.into_iter().for_each(|(kind, handle)| kin.add(kind, handle).unwrap());
        kin
    })
}

fn any_proof() -> impl Strategy<Value = Proof> {
    let kinds =
        [GrantKind::AccessEntry, GrantKind::AwsAuth, GrantKind::IdentityProvider, GrantKind::BreakGlass];
    let session = prop_oneof![Just(Handle::NONE), any_handle()];
    let handles = (any_handle(), any_handle(), any_handle(), any_handle(), session).prop_map(
        |(account, principal, principal_id, access_key, session)| Handles {
            account,
            principal,
            principal_id,
            access_key,
            session,
        },
    );
    let numbers =
        (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<u64>(), 0..4_000_000_000_000_i64, 0..4_000_000_000_i64);
    (proptest::sample::select(kinds.to_vec()), handles, any_kin(), any::<bool>(), numbers).prop_map(
        |(grant_kind, handles, kin, local, (cluster, grant, revision, minted_millis, not_after))| Proof {
            cluster: ClusterUid(Uuid::from_bytes(cluster)),
            grant_kind,
            grant: EntryId(Uuid::from_bytes(grant)),
            revision: Revision(revision),
            handles,
            kin,
            local,
            minted_at: OffsetDateTime::from_unix_timestamp_nanos(i128::from(minted_millis) * NANOS_PER_MILLI)
                .unwrap(),
            not_after: OffsetDateTime::from_unix_timestamp(not_after).unwrap(),
        },
    )
}

proptest! {
    #[test]
    fn what_is_minted_reads_back_and_nothing_shorter_or_altered_does(
        proof in any_proof(),
        username in ".{0,20}",
        names in proptest::collection::vec("[a-z:]{1,8}", 0..20),
        cut in any::<proptest::sample::Index>(),
        at in any::<proptest::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let keys = [key(1)];
        let now = proof.not_after;
        let value = proof.mint(&keys[0], &username, &names);
        let verify = |value: &str| Proof::verify(value, &keys, proof.cluster, &username, &names, now);
        prop_assert!((PROOF_CHARS_MIN..=PROOF_CHARS_MAX).contains(&value.len()));
        prop_assert_eq!(verify(&value), Ok(proof.clone()));

        let bytes = URL_SAFE_NO_PAD.decode(&value).unwrap();
        let shorter = URL_SAFE_NO_PAD.encode(&bytes[..cut.index(bytes.len())]);
        prop_assert!(verify(&shorter).is_err());
        let longer = URL_SAFE_NO_PAD.encode([bytes.as_slice(), &[flip]].concat());
        prop_assert!(verify(&longer).is_err());
        let mut altered = bytes.clone();
        altered[at.index(bytes.len())] ^= flip;
        prop_assert!(verify(&URL_SAFE_NO_PAD.encode(altered)).is_err());
    }

    #[test]
    fn any_text_is_read_or_refused(value in "[A-Za-z0-9_-]{0,1300}") {
        let verified = Proof::verify(&value, &[key(1)], ClusterUid::random(), "", &[], OffsetDateTime::UNIX_EPOCH);
        prop_assert!(verified.is_err());
    }
}

/// Bytes that are no proof although their MAC is good: whoever has the key may have a bug.
#[test]
fn a_good_mac_over_a_bad_layout_is_malformed() {
    let now = OffsetDateTime::now_utc();
    let (key, mut proof) = (key(1), proof(now));
    proof.kin.add(KinKind::AccessKey, key.access_key(KEY)).unwrap();
    let minted = URL_SAFE_NO_PAD.decode(proof.mint(&key, "ana", &[])).unwrap();
    let body = &minted[..minted.len() - MAC_BYTES];
    let count_at = body.len() - KinHandle::BYTES - 1;
    let again = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut body = body.to_vec();
        change(&mut body);
        let mac = mac_of(&key, &body, "ana", &[]);
        let value = URL_SAFE_NO_PAD.encode([body.as_slice(), &mac].concat());
        Proof::verify(&value, std::slice::from_ref(&key), proof.cluster, "ana", &[], now)
    };
    assert_eq!(again(&|_| {}), Ok(proof.clone()));
    type Change = fn(&mut Vec<u8>, usize);
    let cases: [(&str, Change); 9] = [
        ("the version before", |body, _| body[0] = 1),
        ("no kind of grant", |body, _| body[21] = 9),
        ("an unknown flag", |body, _| body[22] = 128),
        ("a session that is not there", |body, _| body[22] |= HAS_SESSION),
        ("more kin than there are", |body, count| body[count] = 2),
        ("fewer kin than there are", |body, count| body[count] = 0),
        ("more kin than may be", |body, count| body[count] = 255),
        ("no kind of kin", |body, count| body[count + 1] = 0),
        ("a kind of kin that a later version may have", |body, count| body[count + 1] = 13),
    ];
    for (what, change) in cases {
        assert_eq!(again(&|body| change(body, count_at)), Err(ProofError::Malformed), "{what}");
    }
}

#[test]
fn the_entry_that_a_value_names_is_read_without_a_key_and_no_other_grant_is_one() {
    let entry = proof(OffsetDateTime::now_utc());
    let value = entry.mint(&key(1), "ana", &[]);
    assert_eq!(Proof::claimed_entry(&value), Some(entry.grant));
    let by_aws_auth = Proof { grant_kind: GrantKind::AwsAuth, ..entry };
    for none in ["", "x", "é", &value[..20], &"*".repeat(60), &by_aws_auth.mint(&key(1), "ana", &[])] {
        assert_eq!(Proof::claimed_entry(none), None, "{none}");
    }
}
