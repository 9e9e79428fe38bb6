//! The hub's own calls against the stand-in.

mod credentials;
mod instances;
mod kms;
mod roles;

use std::sync::Arc;

use lanyard_iam::{
    AccessKeyId, AccountId, Credentials, Partition, PrincipalArn, Region, SecretAccessKey, SessionToken,
};
use lanyard_kit::{Clock, SystemClock, limits::Quota};

use super::{
    AssumedAccount, AwsClient, AwsFault, AwsOptions, AwsRefusal, CallOptions, CredentialSource,
    ListingOptions, NamedPrincipal,
};
use crate::stand_in::{Behaviour, StandIn};

const HOSTS: [&str; 5] = [
    "sts.eu-west-1.amazonaws.com",
    "iam.amazonaws.com",
    "ec2.eu-west-1.amazonaws.com",
    "ec2.us-east-1.amazonaws.com",
    "kms.eu-west-1.amazonaws.com",
];
const OWN: &str = "111122223333";
const OTHER: &str = "444455556666";
const ROLE: &str = "arn:aws:iam::111122223333:role/team/dev";
const USER: &str = "arn:aws:iam::111122223333:user/ana";

fn credentials(key: &str, token: Option<&str>) -> Credentials {
    Credentials {
        access_key_id: AccessKeyId::parse(key).unwrap(),
        secret_access_key: SecretAccessKey::new(format!("secret of {key}")),
        session_token: token.map(|token| SessionToken::new(token.to_owned())),
    }
}

fn hub_credentials() -> Credentials {
    credentials("ASIAHUBHUBHUBHUBHUBH", Some("hub+token/="))
}

fn account(number: &str) -> AccountId {
    AccountId::parse(number).unwrap()
}

fn region() -> Region {
    Region::parse("eu-west-1").unwrap()
}

fn quick() -> AwsOptions {
    let calls = CallOptions {
        deadline_milliseconds: 1_500,
        attempt_milliseconds: 400,
        backoff_milliseconds: 1,
        endpoint: Quota { per_second: 1_000, burst: 1_000 },
        breaker: crate::BreakerOptions { principals_min: 1_000, ..Default::default() },
        ..CallOptions::default()
    };
    AwsOptions { calls, ..AwsOptions::default() }
}

fn client(stand_in: &StandIn, options: &AwsOptions, source: CredentialSource) -> AwsClient {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    AwsClient::new(options, &region(), source, stand_in.http_options(), clock).unwrap()
}

async fn start(options: &AwsOptions) -> (StandIn, AwsClient) {
    let stand_in = StandIn::start(&HOSTS).await;
    let hub = hub_credentials();
    stand_in.add(&hub, OWN, &format!("arn:aws:sts::{OWN}:assumed-role/hub/i-1"), "AROAHUB:i-1");
    let client = client(&stand_in, options, CredentialSource::fixed(&hub));
    (stand_in, client)
}

async fn ask(client: &AwsClient, arn: &str) -> Result<String, AwsFault> {
    match client.principal(&PrincipalArn::parse(arn).unwrap()).await? {
        NamedPrincipal::Is { id, arn } => Ok(format!("{} {arn}", id.as_str())),
        NamedPrincipal::Absent => Ok("nobody".to_owned()),
    }
}

#[tokio::test]
async fn iam_tells_who_bears_a_name_and_that_nobody_does() {
    let (stand_in, client) = start(&quick()).await;
    stand_in.add_principal(ROLE, "AROADEV");
    stand_in.add_principal(USER, "AIDAANA");
    assert_eq!(ask(&client, ROLE).await, Ok(format!("AROADEV {ROLE}")));
    assert_eq!(ask(&client, USER).await, Ok(format!("AIDAANA {USER}")));
    let elsewhere = ROLE.replace("team", "other");
    assert_eq!(ask(&client, &elsewhere).await, Ok(format!("AROADEV {ROLE}")), "its own path is told");
    assert_eq!(ask(&client, "arn:aws:iam::111122223333:role/ana").await, Ok("nobody".to_owned()));
    stand_in.remove_principal(ROLE);
    assert_eq!(ask(&client, ROLE).await, Ok("nobody".to_owned()));
    assert_eq!(stand_in.calls_of("sts"), 1, "whose the credentials are is asked once");
}

/// The stand-in gives two on a page.
#[tokio::test]
async fn an_account_is_listed_page_by_page_and_a_list_that_is_not_whole_says_so() {
    let listed = async |client: &AwsClient| client.principals(Partition::Aws, account(OWN), false, "/").await;
    let with = |principals_max, milliseconds, per_second| AwsOptions {
        listing: ListingOptions { principals_max, milliseconds },
        calls: CallOptions { endpoint: Quota { per_second, burst: 3 }, ..quick().calls },
        ..quick()
    };
    let cases = [
        // All of them, although the hub's own limit lets three calls through at once: it is waited for.
        (with(100, 5_000, 50), (9, true)),
        (with(4, 5_000, 1_000), (4, false)),
        (with(5, 5_000, 1_000), (5, false)),
        // No time to wait for the limit.
        (with(100, 500, 1), (6, false)),
    ];
    for (options, expected) in cases {
        let (stand_in, client) = start(&options).await;
        for number in 0..9 {
            stand_in.add_principal(&format!("arn:aws:iam::{OWN}:role/r{number}"), &format!("AROAR{number}"));
        }
        let found = listed(&client).await.unwrap();
        assert_eq!((found.principals.len(), found.complete), expected, "{:?}", options.listing);
    }
    let (stand_in, client) = start(&with(100, 300, 1_000)).await;
    stand_in.behave_at("iam", Behaviour::Throttled400);
    assert!(matches!(listed(&client).await, Err(AwsFault::Throttled { .. })));
}

/// Whether a fault is the one that is expected.
type Kind = fn(&AwsFault) -> bool;

/// What keeps AWS from telling, and which fault that is.
fn no_answers() -> [(Behaviour, Kind); 12] {
    let throttled: Kind = |fault| matches!(fault, AwsFault::Throttled { .. });
    let timed_out: Kind = |fault| matches!(fault, AwsFault::TimedOut { .. });
    let bad: Kind = |fault| matches!(fault, AwsFault::BadAnswer { .. });
    [
        (Behaviour::Throttled400, throttled),
        (Behaviour::Throttled403, throttled),
        (Behaviour::Throttled429, throttled),
        (Behaviour::ServerError, |fault| matches!(fault, AwsFault::ServerError { status: 500, .. })),
        (Behaviour::Hang, timed_out),
        (Behaviour::SlowBody, timed_out),
        (Behaviour::Truncated, bad),
        (Behaviour::Redirect, bad),
        (Behaviour::HugeBody, bad),
        (Behaviour::BadJson, bad),
        (Behaviour::Xml, bad),
        (Behaviour::AnotherPrincipal, bad),
    ]
}

#[tokio::test]
async fn immunity_14_whatever_keeps_aws_from_telling_is_a_fault_that_says_which() {
    let (stand_in, client) = start(&quick()).await;
    stand_in.add_principal(ROLE, "AROADEV");
    ask(&client, ROLE).await.unwrap();
    let refusals: [(Behaviour, Kind); 2] = [
        (
            Behaviour::Denied,
            |fault| matches!(fault, AwsFault::Refused(refusal) if refusal.code == "AccessDenied"),
        ),
        (
            Behaviour::Expired,
            |fault| matches!(fault, AwsFault::Refused(refusal) if refusal.code == "ExpiredToken"),
        ),
    ];
    for (behaviour, is_expected) in no_answers().into_iter().chain(refusals) {
        stand_in.behave_at("iam", behaviour);
        let fault = ask(&client, ROLE).await.unwrap_err();
        assert!(is_expected(&fault), "{behaviour:?}: {fault:?}");
        let shown = format!("{fault} {fault:?} {}", fault.shown());
        assert!(!shown.contains("secret of") && !shown.contains("hub+token"), "{behaviour:?}: {shown}");
    }
    stand_in.behave(Behaviour::Honest);
    ask(&client, ROLE).await.unwrap();
}

#[tokio::test]
async fn throttling_is_tried_again_each_time_signed_anew() {
    let (stand_in, client) = start(&quick()).await;
    stand_in.add_principal(ROLE, "AROADEV");
    stand_in.behave_at("iam", Behaviour::ThrottledAtFirst(2));
    assert_eq!(ask(&client, ROLE).await, Ok(format!("AROADEV {ROLE}")));
    assert_eq!(stand_in.calls_of("iam"), 3);
}

#[tokio::test]
async fn another_account_is_asked_by_its_role_and_without_one_not_at_all() {
    let theirs = "arn:aws:iam::444455556666:role/dev";
    let role_arn = format!("arn:aws:iam::{OTHER}:role/lanyard/reader");
    let assumed = AssumedAccount {
        account: account(OTHER),
        role_arn: role_arn.clone(),
        external_id: Some("hub-7".to_owned()),
    };
    let (stand_in, client) = start(&AwsOptions { accounts: vec![assumed], ..quick() }).await;
    stand_in.add_principal(theirs, "AROATHEIRS");
    let fault = ask(&client, theirs).await.unwrap_err();
    let refused =
        |fault: &AwsFault| matches!(fault, AwsFault::Refused(AwsRefusal { action: "sts:AssumeRole", .. }));
    assert!(refused(&fault), "{fault:?}");

    let (stand_in, client) = start(&AwsOptions {
        accounts: vec![AssumedAccount {
            account: account(OTHER),
            role_arn: role_arn.clone(),
            external_id: Some("hub-7".to_owned()),
        }],
        ..quick()
    })
    .await;
    stand_in.add_principal(theirs, "AROATHEIRS");
    stand_in.add_principal(ROLE, "AROADEV");
    let session = credentials("ASIAREADERREADERREAD", Some("reader's"));
    stand_in.add_assumable(&role_arn, Some("hub-7"), &session);
    for _ in 0..3 {
        assert_eq!(ask(&client, theirs).await, Ok(format!("AROATHEIRS {theirs}")));
    }
    assert_eq!(stand_in.calls_of("sts"), 1, "the session is kept");
    assert_eq!(ask(&client, ROLE).await, Ok(format!("AROADEV {ROLE}")), "the own account has no role");

    let third = "arn:aws:iam::777788889999:role/dev";
    let asked = stand_in.calls_of("iam");
    let fault = ask(&client, third).await.unwrap_err();
    assert_eq!(fault, AwsFault::OtherAccount { asked: account("777788889999"), own: account(OWN) });
    let china = ask(&client, "arn:aws-cn:iam::111122223333:role/dev").await.unwrap_err();
    assert_eq!(china, AwsFault::OtherPartition { asked: Partition::AwsCn, own: Partition::Aws });
    assert_eq!(stand_in.calls_of("iam"), asked, "nobody is asked who cannot know");
}

#[tokio::test]
async fn a_stranger_in_aws_place_gets_no_signature() {
    let (stand_in, _) = start(&quick()).await;
    let (other, _) = start(&quick()).await;
    let mut http = stand_in.http_options();
    http.roots = other.http_options().roots;
    let source = CredentialSource::fixed(&hub_credentials());
    let client = AwsClient::new(&quick(), &region(), source, http, Arc::new(SystemClock)).unwrap();
    let fault = ask(&client, ROLE).await.unwrap_err();
    assert!(matches!(fault, AwsFault::Unreachable { .. }), "{fault:?}");
    assert_eq!(stand_in.calls(), 0);
}

#[tokio::test]
async fn an_endpoint_that_fails_again_and_again_is_left_alone_and_the_hub_keeps_its_pace() {
    let mut options = quick();
    options.calls.breaker = crate::BreakerOptions::default();
    let (stand_in, client) = start(&options).await;
    stand_in.add_principal(ROLE, "AROADEV");
    ask(&client, ROLE).await.unwrap();
    stand_in.behave_at("iam", Behaviour::ServerError);
    for _ in 0..3 {
        let fault = ask(&client, ROLE).await.unwrap_err();
        assert!(matches!(fault, AwsFault::ServerError { .. }), "{fault:?}");
    }
    let calls = stand_in.calls();
    let fault = ask(&client, ROLE).await.unwrap_err();
    assert!(matches!(fault, AwsFault::BreakerOpen { .. }), "{fault:?}");
    assert_eq!(stand_in.calls(), calls);

    options.calls.endpoint = Quota { per_second: 1, burst: 2 };
    let (stand_in, client) = start(&options).await;
    stand_in.add_principal(ROLE, "AROADEV");
    let mut last = Ok(String::new());
    for _ in 0..3 {
        last = ask(&client, ROLE).await;
    }
    assert!(matches!(last, Err(AwsFault::Limited { .. })), "{last:?}");
}
