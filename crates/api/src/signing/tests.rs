use lanyard_iam::{SecretAccessKey, SessionToken};

use super::*;

const MESSAGE: &[u8] = b"\x00\x00\x00\x00\x02\x07\x08";

fn signing(token: Option<&str>) -> Signing {
    Signing {
        by: Signatory::Key(Arc::new(Credentials {
            access_key_id: "LSIAABCDEFGHIJKLMNOP".parse().unwrap(),
            secret_access_key: SecretAccessKey::new("hush".to_owned()),
            session_token: token.map(|token| SessionToken::new(token.to_owned())),
        })),
        region: "us-west-2".parse().unwrap(),
        hub_id: HubId(Uuid::from_u128(1)),
        authority: "127.0.0.1:7443".to_owned(),
        now: Arc::new(|| time::OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()),
    }
}

async fn prepared(body: &'static [u8], token: Option<&str>) -> Result<Request<Body>, Status> {
    let request = Request::post("/lanyard.authn.v1.Accounts/GetUser");
    signing(token).prepare(request.body(Body::new(Full::new(Bytes::from_static(body)))).unwrap()).await
}

#[tokio::test]
async fn a_call_is_signed_over_method_host_hub_nonce_date_and_message() {
    let request = prepared(MESSAGE, Some("token")).await.unwrap();
    let header = |name: &str| request.headers()[name].to_str().unwrap();
    assert_eq!(header(HUB_ID_HEADER), Uuid::from_u128(1).to_string());
    assert_eq!(header("x-amz-content-sha256"), PayloadHash::of(&[7, 8]).as_str());
    assert_eq!(header("x-amz-security-token"), "token");
    let authorization = header("authorization");
    assert!(
        authorization.contains("Credential=LSIAABCDEFGHIJKLMNOP/20270115/us-west-2/lanyard/aws4_request")
    );
    let signed = "host;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-lanyard-hub-id;x-lanyard-nonce";
    assert!(authorization.contains(&format!("SignedHeaders={signed}, ")), "{authorization}");
    assert!(request.headers()["authorization"].is_sensitive());
    assert!(request.headers()["x-amz-security-token"].is_sensitive());
    let (framed, _) = frame::one_message(request.into_body(), 2).await.unwrap();
    assert_eq!(framed, MESSAGE, "the message goes out as it was");
}

#[tokio::test]
async fn two_calls_of_one_second_have_two_signatures() {
    let (first, second) = (prepared(MESSAGE, None).await.unwrap(), prepared(MESSAGE, None).await.unwrap());
    assert_ne!(first.headers()[NONCE_HEADER], second.headers()[NONCE_HEADER]);
    assert_ne!(first.headers()["authorization"], second.headers()["authorization"]);
    assert!(!first.headers().contains_key("x-amz-security-token"));
}

#[tokio::test]
async fn what_is_not_one_plain_message_is_not_signed() {
    let cases: [&[u8]; 4] =
        [b"", b"\x00\x00\x00\x00", b"\x01\x00\x00\x00\x00", b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"];
    for body in cases {
        assert_eq!(prepared(body, None).await.unwrap_err().code(), tonic::Code::InvalidArgument, "{body:?}");
    }
}

#[test]
fn immunity_27_a_signer_prints_no_secret() {
    let shown = format!("{:?}", signing(Some("token")));
    assert!(
        shown.contains("LSIAABCDEFGHIJKLMNOP") && !shown.contains("hush") && !shown.contains("\"token\""),
        "{shown}"
    );
}
