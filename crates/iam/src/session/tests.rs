use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::wire::Wire;
use super::*;
use crate::arn::PrincipalArn;
use crate::id::{AccessKeyId, AccountId, PrincipalId, Region, SecretAccessKey};
use crate::partition::Partition;
use crate::policy::PolicyDocument;
use crate::token::{ParsedToken, TOKEN_EXPIRES, TokenRules, mint_token};

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00:00 UTC);

fn keys(key_id: u32) -> MintingKeys {
    MintingKeys::generate(key_id, &SystemRandom::new()).unwrap()
}

fn claims() -> SessionClaims {
    let tags = [("kubernetes-namespace", "shop"), ("Team", "äpfel/1")];
    SessionClaims {
        authority: "local".to_owned(),
        principal: PrincipalArn::parse("arn:aws:iam::111122223333:role/team/Dev").unwrap(),
        principal_id: PrincipalId::parse("AROAABCDEFGHIJKLMNOPQ").unwrap(),
        session_name: "ana@example.com".to_owned(),
        tags: tags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        transitive_keys: ["Team".to_owned()].into(),
        source_identity: Some("ana".to_owned()),
        session_policy: Some(
            PolicyDocument::parse_session(
                r#"{"Statement":{"Effect":"Allow","Action":"eks:*","Resource":"*"}}"#,
            )
            .unwrap(),
        ),
        issued_at: NOW,
        expires_at: NOW + Duration::HOUR,
        revision: 42,
        chain_depth: 1,
        ancestors: vec![
            Ancestor::AccessKey(AccessKeyId::parse("LKIAIOSFODNN7EXAMPLE").unwrap()),
            Ancestor::User(PrincipalId::parse("AIDAX").unwrap()),
            Ancestor::Role(PrincipalId::parse("AROAX").unwrap()),
            session_of("AROAX", "ci-17"),
            Ancestor::Provider {
                account: AccountId::parse("111122223333").unwrap(),
                id: "8c9b".to_owned(),
                issuer: "https://issuer.example".to_owned(),
                subject: "sub:1".to_owned(),
            },
            Ancestor::Association { id: "a-1".to_owned(), revision: 17 },
            Ancestor::Cluster("uid-1".to_owned()),
            Ancestor::Certificate("0aff".repeat(16)),
        ],
    }
}

fn session_of(role: &str, name: &str) -> Ancestor {
    Ancestor::RoleSession { role: PrincipalId::parse(role).unwrap(), name: name.to_owned() }
}

fn mint(keys: &MintingKeys, claims: &SessionClaims) -> Result<MintedSession, SessionError> {
    SessionMinter::new(keys).unwrap().mint(claims, &SystemRandom::new())
}

fn opener(keys: &[&MintingKeys]) -> SessionOpener {
    let keys: Vec<OpeningKeys> = keys.iter().map(|keys| keys.opening_keys().unwrap()).collect();
    SessionOpener::new(&keys).unwrap()
}

fn token_of(session: &MintedSession) -> String {
    session.credentials.session_token.as_ref().unwrap().expose().to_owned()
}

fn open(
    opener: &SessionOpener,
    session: &MintedSession,
    now: OffsetDateTime,
) -> Result<OpenedSession, SessionError> {
    opener.open(&session.credentials.access_key_id, &token_of(session), now)
}

#[test]
fn a_session_is_opened_as_it_was_minted() {
    let keys = keys(7);
    let session = mint(&keys, &claims()).unwrap();
    let opened = open(&opener(&[&keys]), &session, NOW).unwrap();
    assert_eq!(opened.claims, claims());
    assert_eq!(opened.secret_access_key.expose(), session.credentials.secret_access_key.expose());
    assert_eq!(opened.access_key_id, session.credentials.access_key_id);
    assert!(opened.access_key_id.is_local() && opened.access_key_id.is_session());
    assert_eq!(opened.access_key_id.local_session_account(), Some(claims().principal.account));
    assert_eq!(
        opened.claims.session_arn().to_string(),
        "arn:aws:sts::111122223333:assumed-role/Dev/ana@example.com"
    );
    let again = mint(&keys, &claims()).unwrap();
    assert_ne!(again.credentials.access_key_id, session.credentials.access_key_id);
    assert_ne!(token_of(&again), token_of(&session));
}

#[test]
fn an_exchanged_aws_principal_acts_under_its_own_arn() {
    let user = PrincipalArn::parse("arn:aws:iam::111122223333:user/team/ana").unwrap();
    let claims = SessionClaims { principal: user.clone(), ..claims() };
    assert_eq!(claims.session_arn(), user);
}

#[test]
fn a_session_holds_within_its_time_only() {
    let keys = keys(1);
    let session = mint(&keys, &claims()).unwrap();
    let opener = opener(&[&keys]);
    let end = NOW + Duration::HOUR;
    assert!(open(&opener, &session, end - Duration::SECOND).is_ok());
    assert_eq!(open(&opener, &session, end).unwrap_err(), SessionError::Expired(end));
    assert!(open(&opener, &session, NOW - Duration::minutes(5)).is_ok());
    assert_eq!(open(&opener, &session, NOW - Duration::seconds(301)).unwrap_err(), SessionError::Future(NOW));
}

#[test]
fn a_generation_of_keys_opens_its_own_sessions() {
    let (old, new) = (keys(1), keys(2));
    let session = mint(&old, &claims()).unwrap();
    assert!(open(&opener(&[&new, &old]), &session, NOW).is_ok());
    assert_eq!(open(&opener(&[&new]), &session, NOW).unwrap_err(), SessionError::UnknownKey(1));
    assert_eq!(open(&opener(&[]), &session, NOW).unwrap_err(), SessionError::UnknownKey(1));
    let same_name = [old.opening_keys().unwrap(), keys(1).opening_keys().unwrap()];
    assert!(matches!(SessionOpener::new(&same_name), Err(SessionError::Keys(_))));
    let pretender = mint(&keys(2), &claims()).unwrap();
    assert_eq!(open(&opener(&[&new]), &pretender, NOW).unwrap_err(), SessionError::Sealed);
}

#[test]
fn a_session_belongs_to_its_access_key() {
    let keys = keys(1);
    let (one, other) = (mint(&keys, &claims()).unwrap(), mint(&keys, &claims()).unwrap());
    let refused = opener(&[&keys]).open(&other.credentials.access_key_id, &token_of(&one), NOW);
    assert_eq!(refused.unwrap_err(), SessionError::OtherAccessKey);
}

#[test]
fn immunity_35_the_keys_of_a_verifier_do_not_mint() {
    let keys = keys(1);
    // All that a verifier holds, and a signing key of its own making.
    let held = keys.opening_keys().unwrap();
    let forger = MintingKeys {
        key_id: held.key_id,
        signing_seed: Zeroizing::new([7; 32]),
        sealing_key: held.sealing_key.clone(),
        secret_key: held.secret_key.clone(),
    };
    let forged = mint(&forger, &claims()).unwrap();
    assert_eq!(open(&opener(&[&keys]), &forged, NOW).unwrap_err(), SessionError::Forged);
    // Nor does a genuine signature serve under another generation's name.
    let renamed = MintingKeys { key_id: 2, signing_seed: keys.signing_seed.clone(), ..forger };
    let session = mint(&keys, &claims()).unwrap();
    let mut token = URL_SAFE_NO_PAD.decode(token_of(&session)).unwrap();
    token[4] = 2;
    let moved =
        opener(&[&renamed]).open(&session.credentials.access_key_id, &URL_SAFE_NO_PAD.encode(token), NOW);
    assert_eq!(moved.unwrap_err(), SessionError::Sealed);
}

#[test]
fn immunity_35_a_secret_computed_from_the_token_signs_nothing() {
    let keys = keys(1);
    let session = mint(&keys, &claims()).unwrap();
    let token = token_of(&session);
    let region = Region::parse("us-west-2").unwrap();
    let rules = TokenRules {
        partition: Partition::Aws,
        region: region.clone(),
        self_hosted: Vec::new(),
        own_hosts: [].into(),
    };
    let accepted = |secret: SecretAccessKey| {
        let credentials = crate::id::Credentials { secret_access_key: secret, ..session.credentials.clone() };
        let host = "sts.us-west-2.amazonaws.com";
        let client = mint_token(&credentials, host, &region, "prod", NOW, TOKEN_EXPIRES).unwrap();
        let parsed = ParsedToken::parse(client.expose(), &rules, NOW).unwrap();
        let came_along = parsed.session_token().unwrap().expose();
        let opened = opener(&[&keys]).open(parsed.access_key_id(), came_along, NOW).unwrap();
        parsed.verify_local("prod", &parsed.signing_key(&opened.secret_access_key)).is_ok()
    };
    assert!(accepted(session.credentials.secret_access_key.clone()));
    let mac = |key: &[u8], data: &[u8]| {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
        STANDARD_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, data))
    };
    let decoded = URL_SAFE_NO_PAD.decode(&token).unwrap();
    let other =
        mint(&MintingKeys { secret_key: Zeroizing::new([0; 32]), ..self::keys(1) }, &claims()).unwrap();
    let guesses = [
        token.clone(),
        STANDARD_NO_PAD.encode(Sha256::digest(token.as_bytes())),
        STANDARD_NO_PAD.encode(Sha256::digest(&decoded)),
        mac(&[0; 32], token.as_bytes()),
        mac(session.credentials.access_key_id.as_str().as_bytes(), token.as_bytes()),
        mac(keys.sealing_key.as_slice(), token.as_bytes()),
        mac(&keys.opening_keys().unwrap().verifying_key, token.as_bytes()),
        // The very key, without the purpose it is bound to.
        mac(keys.secret_key.as_slice(), token.as_bytes()),
        other.credentials.secret_access_key.expose().to_owned(),
    ];
    for guess in guesses {
        assert!(!accepted(SecretAccessKey::new(guess.clone())), "{guess}");
    }
}

#[test]
fn no_session_is_opened_with_one_character_changed() {
    let keys = keys(1);
    let session = mint(&keys, &claims()).unwrap();
    let opener = opener(&[&keys]);
    let token = token_of(&session);
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(opener.open(&session.credentials.access_key_id, &changed, NOW).is_err(), "character {at}");
        assert!(opener.open(&session.credentials.access_key_id, &token[..at], NOW).is_err(), "cut at {at}");
    }
    assert_eq!(
        opener.open(&session.credentials.access_key_id, &"A".repeat(2001), NOW).unwrap_err(),
        SessionError::Malformed
    );
}

#[test]
fn what_does_not_fit_is_refused_and_what_fits_stays_within_a_client_token() {
    let keys = keys(1);
    let with_tags = |count: usize| {
        let tags = (0..count).map(|n| (format!("key-{n:03}"), "v".repeat(20))).collect();
        SessionClaims { tags, transitive_keys: BTreeSet::new(), ..claims() }
    };
    use std::collections::BTreeSet;
    let refused = mint(&keys, &with_tags(50)).unwrap_err();
    assert!(
        matches!(refused, SessionError::PackedPolicyTooLarge { chars, max: SESSION_TOKEN_CHARS_MAX } if chars > 2000),
        "{refused}"
    );
    let fattest = (0..50).rev().find_map(|count| mint(&keys, &with_tags(count)).ok()).unwrap();
    assert!(fattest.packed_percent > 90, "{}", fattest.packed_percent);
    let region = Region::parse("us-gov-west-1").unwrap();
    let cluster_id = "c".repeat(100);
    let host = "sts.us-gov-west-1.amazonaws.com";
    assert!(mint_token(&fattest.credentials, host, &region, &cluster_id, NOW, TOKEN_EXPIRES).is_ok());
}

#[test]
fn the_longest_chain_fits_with_the_longest_names() {
    let name = "n".repeat(64);
    let link = |number: u8| {
        let key = format!("LSIA{number:016}");
        [
            session_of(&format!("AROA{number:017}"), &name),
            Ancestor::AccessKey(AccessKeyId::parse(&key).unwrap()),
        ]
    };
    let mut ancestors: Vec<Ancestor> = (0..SESSION_CHAIN_DEPTH_MAX).flat_map(link).collect();
    ancestors.push(Ancestor::User(PrincipalId::parse("AIDAABCDEFGHIJKLMNOPQ").unwrap()));
    ancestors.push(Ancestor::AccessKey(AccessKeyId::parse("LKIAIOSFODNN7EXAMPLE").unwrap()));
    let longest = SessionClaims {
        session_name: name.clone(),
        tags: Default::default(),
        transitive_keys: Default::default(),
        source_identity: None,
        session_policy: None,
        chain_depth: SESSION_CHAIN_DEPTH_MAX,
        ancestors,
        ..claims()
    };
    let keys = keys(1);
    let session = mint(&keys, &longest).unwrap();
    assert_eq!(open(&opener(&[&keys]), &session, NOW).unwrap().claims, longest);
}

/// Tokens of both versions are about while a hub is brought to the next, or back.
#[test]
fn a_version_that_knows_no_session_among_ancestors_takes_the_role_and_hands_the_name_on() {
    let key = AccessKeyId::generate_local_session(AccountId::generate(0), [0; 16]);
    let role = || Ancestor::Role(PrincipalId::parse("AROAX").unwrap());
    let name = || Ancestor::Certificate(":ci-17".to_owned());
    let shown = || Ancestor::Certificate("0aff".repeat(16));
    let encode =
        |ancestors: Vec<Ancestor>| Wire::encode(&SessionClaims { ancestors, ..claims() }, &key).unwrap();
    let decode = |written: &[u8]| Wire::decode(written).unwrap().1.ancestors;
    let written = encode(vec![session_of("AROAX", "ci-17"), shown()]);
    let json: serde_json::Value = serde_json::from_slice(&written).unwrap();
    let expected = serde_json::json!([{ "r": "AROAX" }, { "x": ":ci-17" }, { "x": "0aff".repeat(16) }]);
    assert_eq!(json["x"], expected);
    assert_eq!(decode(&written), [session_of("AROAX", "ci-17"), shown()]);
    // It reads these three, and seals them anew.
    assert_eq!(encode(vec![role(), name(), shown()]), written);
    // Told of the two as one name, it has taken them for an id.
    let taken = Ancestor::Role(PrincipalId::parse("AROAX:ci-17").unwrap());
    assert_eq!(decode(&encode(vec![taken, shown()])), [session_of("AROAX", "ci-17"), shown()]);
    // What it made itself names no session, and a name without its role is none.
    for ancestors in [vec![role(), shown()], vec![name()], vec![shown(), name(), role()]] {
        assert_eq!(decode(&encode(ancestors.clone())), ancestors);
    }
}

#[test]
fn claims_out_of_their_rules_are_not_minted() {
    let keys = keys(1);
    type Edit = Box<dyn Fn(&mut SessionClaims)>;
    let cases: Vec<(&str, Edit)> = vec![
        ("authority", Box::new(|claims| claims.authority.clear())),
        ("name", Box::new(|claims| claims.session_name = "a b".to_owned())),
        ("name", Box::new(|claims| claims.session_name = "a".to_owned())),
        ("lifetime", Box::new(|claims| claims.expires_at = claims.issued_at)),
        ("lifetime", Box::new(|claims| claims.expires_at += Duration::hours(12))),
        ("lifetime", Box::new(|claims| claims.expires_at += Duration::MILLISECOND)),
        ("chain", Box::new(|claims| claims.chain_depth = 9)),
        ("ancestors", Box::new(|claims| claims.ancestors = vec![Ancestor::Cluster("u".to_owned()); 33])),
        ("ancestors", Box::new(|claims| claims.ancestors = vec![Ancestor::Cluster("u".repeat(513))])),
        (
            "ancestors",
            Box::new(|claims| {
                claims.ancestors = vec![Ancestor::Association { id: "u".repeat(513), revision: 1 }];
            }),
        ),
        ("ancestors", Box::new(|claims| claims.ancestors = vec![session_of("AROAX", "a")])),
        ("source identity", Box::new(|claims| claims.source_identity = Some("aws:x".to_owned()))),
        ("tags", Box::new(|claims| drop(claims.tags.insert("team".to_owned(), String::new())))),
        ("tags", Box::new(|claims| drop(claims.tags.insert("a\"b".to_owned(), String::new())))),
        ("tags", Box::new(|claims| drop(claims.tags.insert(String::new(), String::new())))),
        ("tags", Box::new(|claims| drop(claims.tags.insert("a".to_owned(), "b".repeat(257))))),
        ("transitive tag keys", Box::new(|claims| claims.transitive_keys = ["other".to_owned()].into())),
    ];
    for (claim, edit) in cases {
        let mut claims = claims();
        edit(&mut claims);
        let refused = mint(&keys, &claims).unwrap_err();
        assert!(
            matches!(refused, SessionError::InvalidClaim { claim: found, .. } if found == claim),
            "{claim}: {refused}"
        );
    }
}

#[test]
fn keys_and_secrets_do_not_print() {
    let keys = keys(9);
    let session = mint(&keys, &claims()).unwrap();
    let opened = open(&opener(&[&keys]), &session, NOW).unwrap();
    let printed = format!(
        "{keys:?} {:?} {:?} {:?} {session:?} {opened:?}",
        keys.opening_keys().unwrap(),
        SessionMinter::new(&keys).unwrap(),
        opener(&[&keys])
    );
    for secret in [
        session.credentials.secret_access_key.expose(),
        &token_of(&session),
        &format!("{:?}", *keys.sealing_key),
    ] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

proptest! {
    #[test]
    fn any_text_is_opened_or_refused_without_a_panic(text in "\\PC{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let keys = MintingKeys {
            key_id: 1,
            signing_seed: Zeroizing::new([1; 32]),
            sealing_key: Zeroizing::new([2; 32]),
            secret_key: Zeroizing::new([3; 32]),
        };
        let opener = opener(&[&keys]);
        let id = AccessKeyId::generate_local_session(AccountId::generate(0), [0; 16]);
        let with_header = [[1, 0, 0, 0, 1].as_slice(), &bytes].concat();
        for token in [text, URL_SAFE_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(with_header)] {
            let refused = opener.open(&id, &token, NOW).unwrap_err();
            prop_assert!(!refused.reason_code().is_empty());
        }
    }
}
