//! Sessions of workloads' roles.

use std::collections::{BTreeMap, BTreeSet};

use lanyard_kit::SecretString;

use super::*;
use crate::own::{AssumeRefusal, AssumeRoleAsked, AssumedBy, AssumedRole, HubPrincipal, RoleSessionAsked};
use crate::stand_in::{StandInKeys, StandInProvider, StandInRole, StandInSubject, StandInTrust};

const APP: &str = "arn:aws:iam::444455556666:role/team/app";
const NAME: &str = "eks-dev-bot-1";
const EXTERNAL_ID: &str = "lanyard-1";

fn session() -> Credentials {
    credentials("ASIAPODPODPODPODPODP", Some("pod's token"))
}

fn trusting(trust: StandInTrust) -> StandInRole {
    StandInRole::new(&session()).trusting(trust)
}

fn demanding() -> StandInRole {
    trusting(StandInTrust::ExternalId(EXTERNAL_ID.to_owned()))
}

struct Question {
    role: PrincipalArn,
    seconds: u32,
    tags: BTreeMap<String, String>,
    transitive_keys: BTreeSet<String>,
    external_id: Option<String>,
    policy: Option<String>,
}

fn question() -> Question {
    Question {
        role: PrincipalArn::parse(APP).unwrap(),
        seconds: 3_600,
        tags: BTreeMap::new(),
        transitive_keys: BTreeSet::new(),
        external_id: Some(EXTERNAL_ID.to_owned()),
        policy: None,
    }
}

impl Question {
    fn session(&self) -> RoleSessionAsked<'_> {
        RoleSessionAsked {
            role: &self.role,
            session_name: NAME,
            seconds: self.seconds,
            session_policy: self.policy.as_deref(),
        }
    }

    async fn ask(&self, client: &AwsClient, by: AssumedBy<'_>) -> Result<AssumedRole, AwsFault> {
        let asked = AssumeRoleAsked {
            session: self.session(),
            tags: &self.tags,
            transitive_keys: &self.transitive_keys,
            external_id: self.external_id.as_deref(),
        };
        client.assume_role(by, asked).await
    }
}

fn refusal(answer: Result<AssumedRole, AwsFault>) -> AssumeRefusal {
    match answer.unwrap_err() {
        AwsFault::Refused(refusal) => refusal.of_role(),
        fault => panic!("{fault:?}"),
    }
}

#[tokio::test]
async fn a_role_is_assumed_with_all_that_was_asked_and_a_second_one_with_its_session() {
    let (stand_in, client) = start(&quick()).await;
    stand_in.add_role(APP, demanding());
    let asked = Question {
        tags: BTreeMap::from([("a".to_owned(), "1 / 2".to_owned()), ("b".to_owned(), String::new())]),
        transitive_keys: BTreeSet::from(["b".to_owned()]),
        policy: Some("{}".to_owned()),
        ..question()
    };
    let made = asked.ask(&client, AssumedBy::Hub).await.unwrap();
    assert_eq!(made.arn.to_string(), format!("arn:aws:sts::444455556666:assumed-role/app/{NAME}"));
    assert_eq!(made.credentials.access_key_id, session().access_key_id);
    let sent = stand_in.assumed().remove(0);
    let value = |name: &str| sent.get(name).map(String::as_str);
    let expected = [
        ("RoleArn", APP),
        ("RoleSessionName", NAME),
        ("DurationSeconds", "3600"),
        ("ExternalId", EXTERNAL_ID),
        ("Policy", "{}"),
        ("Tags.member.1.Key", "a"),
        ("Tags.member.1.Value", "1 / 2"),
        ("Tags.member.2.Key", "b"),
        ("TransitiveTagKeys.member.1", "b"),
    ];
    for (name, text) in expected {
        assert_eq!(value(name), Some(text), "{name}");
    }
    let data = "arn:aws:iam::777788889999:role/data";
    let second = credentials("ASIADATADATADATADATA", Some("data's token"));
    stand_in.add_role(data, StandInRole::new(&second).trusting(StandInTrust::Anyone));
    let asked = Question { role: PrincipalArn::parse(data).unwrap(), external_id: None, ..question() };
    let hop = asked.ask(&client, AssumedBy::Session(&made.credentials)).await.unwrap();
    assert_eq!(hop.credentials.access_key_id, second.access_key_id);
    stand_in.remove(&session().access_key_id);
    let gone = asked.ask(&client, AssumedBy::Session(&made.credentials)).await;
    assert_eq!(refusal(gone), AssumeRefusal::Other, "the first session is no more");
}

#[tokio::test]
async fn a_web_identity_is_asked_for_without_a_signature() {
    let (stand_in, client) = start(&quick()).await;
    let subject = StandInSubject::Is("system:serviceaccount:team-a:bot".to_owned());
    stand_in.add_role(APP, StandInRole { web_identity: Some(subject), ..StandInRole::new(&session()) });
    let provider = StandInProvider {
        account: "444455556666".to_owned(),
        issuer_url: "https://issuer.example".to_owned(),
        client_id: "sts.amazonaws.com".to_owned(),
        keys: StandInKeys::Any,
    };
    let token = |subject: &str, end: i64| {
        use base64::Engine as _;
        let claims = serde_json::json!({
            "iss": "https://issuer.example", "sub": subject, "aud": "sts.amazonaws.com", "exp": end,
        });
        let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        SecretString::from(format!("{}.{}.{}", part("{}"), part(&claims.to_string()), part("signature")))
    };
    let asked = question();
    let ask = async |subject: &str, end| {
        client.assume_role_with_web_identity(&token(subject, end), asked.session()).await
    };
    let none = ask("system:serviceaccount:team-a:bot", i64::MAX).await;
    assert_eq!(refusal(none), AssumeRefusal::TokenRefused, "the account has no provider for the issuer");
    stand_in.add_provider(StandInProvider { keys: StandInKeys::Unreachable, ..provider.clone() });
    let unheard = ask("system:serviceaccount:team-a:bot", i64::MAX).await;
    assert_eq!(refusal(unheard), AssumeRefusal::IssuerUnreachable);
    stand_in.add_provider(provider);
    let made = ask("system:serviceaccount:team-a:bot", i64::MAX).await.unwrap();
    assert_eq!(made.credentials.access_key_id, session().access_key_id);
    let other = ask("system:serviceaccount:team-a:bot2", i64::MAX).await;
    assert_eq!(refusal(other), AssumeRefusal::NotTrusted);
    let old = ask("system:serviceaccount:team-a:bot", 0).await;
    assert_eq!(refusal(old), AssumeRefusal::Expired);
}

#[tokio::test]
async fn a_refusal_says_what_it_means() {
    let (stand_in, client) = start(&quick()).await;
    let asked = question();
    assert_eq!(refusal(asked.ask(&client, AssumedBy::Hub).await), AssumeRefusal::NotTrusted, "no such role");
    stand_in.add_role(APP, demanding());
    let other = Question { external_id: Some("lanyard-2".to_owned()), ..question() };
    assert_eq!(refusal(other.ask(&client, AssumedBy::Hub).await), AssumeRefusal::NotTrusted);
    let long = Question { seconds: 3_601, ..question() };
    assert_eq!(refusal(long.ask(&client, AssumedBy::Hub).await), AssumeRefusal::Parameter);
    stand_in.behave_at("sts", Behaviour::RegionDisabled);
    assert_eq!(refusal(asked.ask(&client, AssumedBy::Hub).await), AssumeRefusal::RegionDisabled);
    let china = Question {
        role: PrincipalArn::parse("arn:aws-cn:iam::444455556666:role/app").unwrap(),
        ..question()
    };
    let fault = china.ask(&client, AssumedBy::Hub).await.unwrap_err();
    assert_eq!(fault, AwsFault::OtherPartition { asked: Partition::AwsCn, own: Partition::Aws });
    let cases = [
        ("AccessDenied", AssumeRefusal::NotTrusted),
        ("ExpiredTokenException", AssumeRefusal::Expired),
        ("InvalidIdentityToken", AssumeRefusal::TokenRefused),
        ("IDPRejectedClaim", AssumeRefusal::TokenRefused),
        ("IDPCommunicationError", AssumeRefusal::IssuerUnreachable),
        ("MalformedPolicyDocument", AssumeRefusal::MalformedPolicy),
        ("PackedPolicyTooLarge", AssumeRefusal::PackedPolicyTooLarge),
        ("OptInRequired", AssumeRefusal::RegionDisabled),
        ("ValidationError", AssumeRefusal::Parameter),
        ("SignatureDoesNotMatch", AssumeRefusal::Other),
    ];
    for (code, expected) in cases {
        let refusal = AwsRefusal { action: "sts:AssumeRole", code: code.to_owned(), status: 403 };
        assert_eq!(refusal.of_role(), expected, "{code}");
    }
}

#[tokio::test]
async fn immunity_14_an_sts_that_misbehaves_makes_no_session_and_no_refusal() {
    let (stand_in, client) = start(&quick()).await;
    stand_in.add_role(APP, demanding());
    let asked = question();
    asked.ask(&client, AssumedBy::Hub).await.unwrap();
    for (behaviour, is_expected) in no_answers() {
        stand_in.behave_at("sts", behaviour);
        let fault = asked.ask(&client, AssumedBy::Hub).await.unwrap_err();
        assert!(is_expected(&fault), "{behaviour:?}: {fault:?}");
        let shown = format!("{fault} {fault:?} {}", fault.shown());
        assert!(!shown.contains("secret of") && !shown.contains("token"), "{behaviour:?}: {shown}");
    }
    stand_in.behave_at("sts", Behaviour::ThrottledAtFirst(stand_in.calls_of("sts") + 2));
    asked.ask(&client, AssumedBy::Hub).await.unwrap();
}

#[tokio::test]
async fn immunity_28_a_role_has_its_own_share_and_opens_no_breaker_alone() {
    let mut options = quick();
    options.calls.role = Quota { per_second: 1, burst: 4 };
    options.calls.breaker = crate::BreakerOptions::default();
    let (stand_in, client) = start(&options).await;
    stand_in.add_role(APP, demanding());
    stand_in.behave_at("sts", Behaviour::ServerError);
    let asked = question();
    for _ in 0..4 {
        let fault = asked.ask(&client, AssumedBy::Hub).await.unwrap_err();
        assert!(matches!(fault, AwsFault::ServerError { .. }), "{fault:?}");
    }
    let fault = asked.ask(&client, AssumedBy::Hub).await.unwrap_err();
    assert!(matches!(fault, AwsFault::Limited { .. }), "{fault:?}");
    let of = |name: &str| Question {
        role: PrincipalArn::parse(&format!("arn:aws:iam::444455556666:role/{name}")).unwrap(),
        ..question()
    };
    for name in ["two", "three"] {
        let fault = of(name).ask(&client, AssumedBy::Hub).await.unwrap_err();
        assert!(matches!(fault, AwsFault::ServerError { .. }), "{name}: {fault:?}");
    }
    let fault = of("four").ask(&client, AssumedBy::Hub).await.unwrap_err();
    assert!(matches!(fault, AwsFault::BreakerOpen { .. }), "three roles fail: {fault:?}");
    stand_in.behave(Behaviour::Honest);
    client.caller().await.unwrap();
}

#[tokio::test]
async fn immunity_28_whatever_others_use_of_sts_a_role_has_a_part_of_its_own() {
    let mut options = quick();
    options.calls.roles = Quota { per_second: 1, burst: 3 };
    options.calls.role = Quota { per_second: 100, burst: 100 };
    let (stand_in, client) = start(&options).await;
    let quiet = "arn:aws:iam::444455556666:role/quiet";
    for role in [APP, quiet] {
        stand_in.add_role(role, demanding());
    }
    let mut limited = 0;
    for _ in 0..30 {
        let answer = question().ask(&client, AssumedBy::Hub).await;
        limited += usize::from(matches!(answer, Err(AwsFault::Limited { .. })));
    }
    assert!(limited > 0, "what all share is used up");
    let quiet = Question { role: PrincipalArn::parse(quiet).unwrap(), ..question() };
    quiet.ask(&client, AssumedBy::Hub).await.unwrap();
}

#[tokio::test]
async fn the_hub_knows_whom_a_role_has_to_trust_and_how_long_its_sessions_may_be() {
    let (stand_in, client) = start(&quick()).await;
    let pathless = PrincipalArn::parse(&format!("arn:aws:iam::{OWN}:role/hub")).unwrap();
    let expected = HubPrincipal { arn: pathless.clone(), is_session: true, is_whole: false };
    assert_eq!(client.hub_principal().await.unwrap(), expected, "IAM does not know it");
    let whole = format!("arn:aws:iam::{OWN}:role/lanyard/hub");
    stand_in.add_principal(&whole, "AROAHUB");
    let found = client.hub_principal().await.unwrap();
    assert_eq!((found.arn.to_string(), found.is_session, found.is_whole), (whole, true, true));
    stand_in.add_principal(ROLE, "AROADEV");
    stand_in.add_role(ROLE, StandInRole { seconds_max: 7_200, ..demanding() });
    let role = PrincipalArn::parse(ROLE).unwrap();
    assert_eq!(client.role_session_seconds_max(&role).await, Ok(7_200));
    assert!(client.role_session_seconds_max(&PrincipalArn::parse(APP).unwrap()).await.is_err());
}
