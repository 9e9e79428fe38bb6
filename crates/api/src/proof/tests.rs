use super::*;
use crate::identity::Authority;

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
    for bad in ["", "x", &value[1..], &format!("{value}A")] {
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
}
