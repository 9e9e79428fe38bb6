//! Through a front door: signed calls, admitted, and what may not pass.

use bytes::Bytes;
use http_body_util::Full;
use lanyard_iam::{Credentials, PayloadHash, SecretAccessKey, SigningKey};
use tonic::{body::Body, codegen::http};

use super::{samples::*, *};
use crate::{
    CallError, Denial, HubId,
    authn::{self, Accounts, accounts::Named},
    authz::{self, Authorize, DecisionRecord, Decisions},
    grpc::{MESSAGE_BYTES_MAX, Prepare, Wire, admitted_at_the_door, frame},
    methods,
    signing::{SERVICE, Signatory, Signing},
};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const REGION: &str = "eu-central-1";
const AUTHORITY: &str = "hub.example:7443";

fn credentials() -> Credentials {
    Credentials {
        access_key_id: KEY.parse().unwrap(),
        secret_access_key: SecretAccessKey::new(SECRET.to_owned()),
        session_token: None,
    }
}

fn signing() -> Signing {
    Signing {
        by: Signatory::Key(Arc::new(credentials())),
        region: REGION.parse().unwrap(),
        hub_id: HubId(uuid::Uuid::from_u128(1)),
        authority: AUTHORITY.to_owned(),
        now: now(),
    }
}

/// A front door in little: it verifies the signature, and admits whoever it fits.
#[derive(Clone)]
struct FrontDoor;

impl FrontDoor {
    fn is_signed(path: &str, headers: &http::HeaderMap, message: &Bytes) -> bool {
        use lanyard_iam::{HttpRequest, SignedRequest, sigv4::Expected};
        let mut pairs = vec![("host", AUTHORITY)];
        pairs.extend(headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))));
        let request = HttpRequest { method: "POST", path, query: "", headers: &pairs };
        let now = moment(0);
        let required = &["x-lanyard-hub-id", "x-lanyard-nonce", "x-amz-content-sha256"];
        let expected = Expected { required_headers: required, ..Expected::new(REGION, SERVICE, now) };
        let Ok(signed) = SignedRequest::parse(&request, &expected) else { return false };
        let day = format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day());
        let key = SigningKey::derive(&SecretAccessKey::new(SECRET.to_owned()), &day, REGION, SERVICE);
        signed.verify(&request, &PayloadHash::of(message), &key).is_ok()
    }
}

impl Prepare for FrontDoor {
    async fn prepare(&self, request: http::Request<Body>) -> Result<http::Request<Body>, tonic::Status> {
        let (mut parts, body) = request.into_parts();
        // What a client puts beside its request does not cross the wire.
        parts.extensions.clear();
        let (framed, message) = frame::one_message(body, MESSAGE_BYTES_MAX).await?;
        if Self::is_signed(parts.uri.path(), &parts.headers, &message) {
            let call = methods::read(parts.uri.path(), &message)
                .map_err(|denial| crate::grpc::forbidden(&denial))?;
            let (action, request_digest) = (call.action.to_owned(), call.request_digest);
            let actor = Actor { kind: principal(), action, request_digest, ..Actor::system("test") };
            parts.extensions.insert(Vouched::in_process(actor));
        }
        Ok(http::Request::from_parts(parts, Body::new(Full::new(framed))))
    }
}

/// Client, signature, front door, and the services behind it, in one process.
fn behind_front_door(fake: &Arc<Fake>) -> impl Wire<Error = std::convert::Infallible> {
    let served = Served::new(Arc::clone(fake), Door::behind_door());
    let routes = Routes::new(authn::server::accounts(served.clone()))
        .add_service(authz::server::authorize(served.clone()))
        .add_service(authz::server::decisions(served))
        .prepare();
    Prepared::new(routes, FrontDoor)
}

fn ana() -> Named {
    Named { account: None, name: "ana".to_owned() }
}

#[tokio::test]
async fn a_signed_call_passes_the_front_door_as_who_signed_it() {
    let fake = Arc::default();
    let client = Remote::new(signing().over(behind_front_door(&fake)));
    assert_eq!(client.get_user(admitted_at_the_door(), ana()).await, Ok(user()));
    let query = authz::WhoCanQuery {
        cluster: uid(1),
        attributes: authz::Attributes::NonResource { path: "/".into(), verb: "get".into() },
    };
    assert!(client.who_can(query).await.unwrap().incomplete, "a question of people, admitted like any other");
    assert!(fake.asked.lock().unwrap()[0].contains("assumed-role/Admin/ana"));
}

#[tokio::test]
async fn immunity_32_what_nobody_signed_or_another_signed_is_refused() {
    let fake = Arc::default();
    let wrong = [
        Signing { authority: "other.example".to_owned(), ..signing() },
        Signing { region: "us-east-1".parse().unwrap(), ..signing() },
        Signing { now: Arc::new(|| moment(-3600)), ..signing() },
        Signing {
            by: Signatory::Key(Arc::new(Credentials {
                secret_access_key: SecretAccessKey::new("another".to_owned()),
                ..credentials()
            })),
            ..signing()
        },
    ];
    let refused =
        |error: CallError| matches!(error, CallError::Denied(Denial { code, .. }) if code == "not_admitted");
    for signing in wrong {
        let client = Remote::new(signing.over(behind_front_door(&fake)));
        assert!(refused(client.get_user(admitted_at_the_door(), ana()).await.unwrap_err()));
    }
    let unsigned = Remote::new(behind_front_door(&fake));
    assert!(refused(unsigned.get_user(admitted_at_the_door(), ana()).await.unwrap_err()));
    // A voucher is for services; at the front door it is nothing.
    let vouched = Remote::new(admitting(behind_front_door(&fake), vouchers()));
    assert!(refused(vouched.get_user(actor(), ana()).await.unwrap_err()));
    assert!(fake.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn immunity_41_a_method_between_services_does_not_pass_a_front_door() {
    let fake = Arc::default();
    let client = Remote::new(signing().over(behind_front_door(&fake)));
    let records: Vec<DecisionRecord> = Vec::new();
    assert!(client.record(records.clone()).await.is_err());
    // Nor where the door forgot to look.
    let served = Served::new(Arc::clone(&fake), Door::behind_door());
    let open = Remote::new(Routes::new(authz::server::decisions(served)).prepare());
    assert!(open.record(records).await.is_err());
    assert!(fake.asked.lock().unwrap().is_empty());
}
