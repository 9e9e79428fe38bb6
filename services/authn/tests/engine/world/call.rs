//! Management calls, signed by AWS's own Rust signer.

use std::net::IpAddr;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use lanyard_api::authn::accounts::{IamRole, PolicyOwner};
use lanyard_api::authn::{Admission, AdmitQuery};
use lanyard_api::{Actor, Denial, HubId};
use lanyard_iam::Credentials;
use lanyard_proto::{credentials::v1 as credentials, mapping::v1 as mapping};
use prost::Message;

use super::{REGION, World};

pub(crate) const AUTHORITY: &str = "127.0.0.1:8444";
pub(crate) const DESCRIBE: &str = "/lanyard.mapping.v1.Clusters/DescribeCluster";
pub(crate) const CREATE_ENTRY: &str = "/lanyard.mapping.v1.Entries/CreateAccessEntry";
pub(crate) const DELETE_ENTRY: &str = "/lanyard.mapping.v1.Entries/DeleteAccessEntry";
pub(crate) const CREATE_USER: &str = "/lanyard.authn.v1.Accounts/CreateUser";
pub(crate) const GET_USER: &str = "/lanyard.authn.v1.Accounts/GetUser";
pub(crate) const LIST_ACCOUNTS: &str = "/lanyard.authn.v1.Accounts/ListAccounts";
pub(crate) const CREATE_ACCOUNT: &str = "/lanyard.authn.v1.Accounts/CreateAccount";
pub(crate) const ASSUME_ROLE: &str = "/lanyard.credentials.v1.Sessions/AssumeRole";

pub(crate) fn describe(cluster: &str) -> mapping::DescribeClusterRequest {
    mapping::DescribeClusterRequest { cluster: cluster.to_owned() }
}

/// How a test's call differs from an honest one.
pub(crate) struct Signing<'a> {
    pub(crate) hub: HubId,
    pub(crate) nonce: &'a str,
    pub(crate) service: &'a str,
    pub(crate) region: &'a str,
    pub(crate) at: time::OffsetDateTime,
    pub(crate) extra: &'a [(&'a str, &'a str)],
}

impl World {
    pub(crate) fn signing(&self) -> Signing<'static> {
        let nonce = "0123456789abcdef-nonce";
        Signing { hub: self.hub.id, nonce, service: "lanyard", region: REGION, at: self.now(), extra: &[] }
    }
}

/// Signed by a signer of another make.
pub(crate) fn sign(by: &Credentials, method: &str, body: &[u8], how: &Signing<'_>) -> AdmitQuery {
    use aws_sigv4::http_request::{
        PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign,
    };
    use aws_sigv4::sign::v4::SigningParams;
    let token = by.session_token.as_ref().map(|token| token.expose().to_owned());
    let secret = by.secret_access_key.expose();
    let identity =
        aws_credential_types::Credentials::new(by.access_key_id.as_str(), secret, token, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let at = UNIX_EPOCH + std::time::Duration::from_secs(how.at.unix_timestamp().unsigned_abs());
    let params = SigningParams::builder().identity(&identity).region(how.region).name(how.service).time(at);
    let params = params.settings(settings).build().unwrap().into();
    let hub = how.hub.to_string();
    let mut headers =
        vec![("host", AUTHORITY), ("x-lanyard-hub-id", hub.as_str()), ("x-lanyard-nonce", how.nonce)];
    headers.extend(how.extra);
    let url = format!("https://{AUTHORITY}{method}");
    let request =
        SignableRequest::new("POST", &url, headers.iter().copied(), SignableBody::Bytes(body)).unwrap();
    let (instructions, _) = sign(request, &params).unwrap().into_parts();
    let mut all: Vec<(String, String)> = vec![("content-type".to_owned(), "application/grpc".to_owned())];
    all.extend(headers[1..].iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    all.extend(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())));
    AdmitQuery {
        method: method.to_owned(),
        authority: AUTHORITY.to_owned(),
        headers: all,
        body: Bytes::copy_from_slice(body),
        source_ip: Some(IpAddr::from([10, 1, 2, 3])),
        certificate_principal: None,
        certificate_sha256: None,
        beside: None,
    }
}

impl World {
    pub(crate) async fn call(&self, by: &Credentials, method: &str, message: &impl Message) -> Admission {
        self.admit(sign(by, method, &message.encode_to_vec(), &self.signing())).await.unwrap()
    }

    /// A user with one inline policy.
    pub(crate) async fn policed(&self, name: &str, document: &str) -> Credentials {
        let (user, key) = self.user(self.hub.account, "/", name).await;
        self.policy(user.account, PolicyOwner::User(user.name), "p", document).await;
        key
    }
}

pub(crate) fn allow(action: &str, resource: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"Ok","Effect":"Allow","Action":"{action}","Resource":"{resource}"}}]}}"#
    )
}

pub(crate) fn admitted(answer: Admission) -> Actor {
    match answer {
        Admission::Admitted(actor) => actor.value,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn forbidden(answer: Admission) -> Denial {
    match answer {
        Admission::Forbidden(denial) => denial,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn unproven(answer: Admission) -> String {
    match answer {
        Admission::Unauthenticated(denial) => denial.code.into_owned(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn assume(world: &World, role: &IamRole) -> credentials::AssumeRoleRequest {
    credentials::AssumeRoleRequest {
        role_arn: format!("arn:{}:iam::{}:role{}{}", world.hub.partition, role.account, role.path, role.name),
        session_name: "ana".to_owned(),
        ..Default::default()
    }
}
