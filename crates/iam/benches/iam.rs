//! What the request path costs: a token's parts, its signature with and without a kept key, a policy, a session.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark that cannot be set up should stop")]

use aws_lc_rs::rand::SystemRandom;
use divan::{Bencher, black_box};
use lanyard_iam::session::MintingKeys;
use lanyard_iam::token::TOKEN_EXPIRES;
use lanyard_iam::{
    AccessKeyId, ConditionKeys, Credentials, NamedDocument, ParsedToken, Partition, PolicyDocument,
    PrincipalArn, PrincipalId, Region, RequestContext, SecretAccessKey, SessionClaims, SessionMinter,
    SessionOpener, SessionToken, Token, TokenRules, evaluate, mint_token,
};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00:00 UTC);

fn main() {
    divan::main();
}

fn credentials(session_token_bytes: usize) -> Credentials {
    Credentials {
        access_key_id: AccessKeyId::parse("LKIAIOSFODNN7EXAMPLE").unwrap(),
        secret_access_key: SecretAccessKey::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
        session_token: (session_token_bytes > 0)
            .then(|| SessionToken::new("FwoGZXIvYX/dzE+a".repeat(session_token_bytes / 16))),
    }
}

fn token(session_token_bytes: usize) -> Token {
    let region = Region::parse("us-west-2").unwrap();
    let host = "sts.us-west-2.amazonaws.com";
    mint_token(&credentials(session_token_bytes), host, &region, "prod", NOW, TOKEN_EXPIRES).unwrap()
}

fn rules() -> TokenRules {
    TokenRules {
        partition: Partition::Aws,
        region: Region::parse("us-west-2").unwrap(),
        self_hosted: Vec::new(),
        own_hosts: [].into(),
    }
}

/// By the length of the session token: none, a local session's, AWS's longest usual ones.
#[divan::bench(args = [0, 512, 1024, 2000])]
fn parse_token(bencher: Bencher, session_token_bytes: usize) {
    let (token, rules) = (token(session_token_bytes), rules());
    bencher.bench(|| ParsedToken::parse(black_box(token.expose()), &rules, NOW).unwrap());
}

#[divan::bench]
fn digest_token(bencher: Bencher) {
    let token = token(1024);
    bencher.bench(|| black_box(&token).digest());
}

#[divan::bench(args = [0, 1024])]
fn verify_local_with_kept_key(bencher: Bencher, session_token_bytes: usize) {
    let parsed = ParsedToken::parse(token(session_token_bytes).expose(), &rules(), NOW).unwrap();
    let key = parsed.signing_key(&credentials(0).secret_access_key);
    bencher.bench(|| black_box(&parsed).verify_local("prod", &key).unwrap());
}

#[divan::bench(args = [0, 1024])]
fn verify_local_with_derived_key(bencher: Bencher, session_token_bytes: usize) {
    let parsed = ParsedToken::parse(token(session_token_bytes).expose(), &rules(), NOW).unwrap();
    let secret = credentials(0).secret_access_key;
    bencher.bench(|| {
        let parsed = black_box(&parsed);
        parsed.verify_local("prod", &parsed.signing_key(&secret)).unwrap();
    });
}

#[divan::bench(args = [1, 10, 100])]
fn evaluate_policy(bencher: Bencher, statements: usize) {
    let other = r#"{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::bucket/${aws:username}/*"}"#;
    let this = r#"{"Effect":"Allow","Action":"eks:Describe*","Resource":"arn:aws:eks:*:111122223333:cluster/*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}"#;
    let mut list = vec![other; statements - 1];
    list.push(this);
    let document =
        PolicyDocument::parse(&format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, list.join(",")))
            .unwrap();
    let mut keys = ConditionKeys::new();
    keys.set("aws:username", "ana").set("aws:SourceIp", "10.1.2.3");
    let request = RequestContext {
        action: "eks:DescribeCluster",
        resource: "arn:aws:eks:us-west-2:111122223333:cluster/prod",
        keys: &keys,
    };
    let identity = [NamedDocument { name: "p", document: &document }];
    bencher.bench(|| assert!(evaluate(black_box(&identity), None, black_box(&request)).is_allowed()));
}

#[divan::bench]
fn open_session(bencher: Bencher) {
    let random = SystemRandom::new();
    let keys = MintingKeys::generate(1, &random).unwrap();
    let claims = SessionClaims {
        authority: "local".to_owned(),
        principal: PrincipalArn::parse("arn:aws:iam::111122223333:role/Dev").unwrap(),
        principal_id: PrincipalId::parse("AROAABCDEFGHIJKLMNOPQ").unwrap(),
        session_name: "ana".to_owned(),
        tags: Default::default(),
        transitive_keys: Default::default(),
        source_identity: None,
        session_policy: None,
        issued_at: NOW,
        expires_at: NOW + Duration::HOUR,
        revision: 1,
        chain_depth: 0,
        ancestors: Vec::new(),
    };
    let session = SessionMinter::new(&keys).unwrap().mint(&claims, &random).unwrap().credentials;
    let opener = SessionOpener::new(&[keys.opening_keys().unwrap()]).unwrap();
    let token = session.session_token.as_ref().unwrap().expose();
    bencher.bench(|| opener.open(&session.access_key_id, black_box(token), NOW).unwrap());
}
