//! How each service says things, good and bad.

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use super::Behaviour;

/// A service with its wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Wire {
    /// Query, answered in JSON.
    Sts,
    /// Query, answered in XML.
    Iam,
    /// Query, answered in EC2's XML.
    Ec2,
    /// JSON both ways.
    Kms,
}

impl Wire {
    /// By the first label of the host. What has another one is an STS.
    pub(super) fn of_service(name: &str) -> Self {
        match name {
            "iam" => Self::Iam,
            "ec2" => Self::Ec2,
            "kms" => Self::Kms,
            _ => Self::Sts,
        }
    }

    /// As signatures name it.
    pub(super) fn service(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::Iam => "iam",
            Self::Ec2 => "ec2",
            Self::Kms => "kms",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Sts => "application/json",
            Self::Iam => "text/xml",
            Self::Ec2 => "text/xml;charset=UTF-8",
            Self::Kms => "application/x-amz-json-1.1",
        }
    }

    /// How a good answer begins.
    fn beginning(self) -> &'static str {
        match self {
            Self::Sts => "{\"GetCallerIdentityResponse\":",
            Self::Iam => "<GetRoleResponse><GetRoleResult>",
            Self::Ec2 => "<DescribeInstancesResponse><reservationSet>",
            Self::Kms => "{\"KeyId\":",
        }
    }
}

/// 200 with this.
pub(super) fn good(wire: Wire, body: impl Into<Body>) -> Response {
    respond(200, wire.content_type(), body.into())
}

/// An error as the service tells it.
pub(super) fn error(wire: Wire, status: u16, code: &str, message: &str) -> Response {
    let escaped = quick_xml::escape::escape(message);
    let body = match wire {
        Wire::Sts => json!({
            "Error": { "Code": code, "Message": message, "Type": "Sender" },
            "RequestId": "00000000-0000-0000-0000-000000000000",
        })
        .to_string(),
        Wire::Iam => format!(
            "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type><Code>{code}</Code>\
             <Message>{escaped}</Message></Error><RequestId>0</RequestId></ErrorResponse>"
        ),
        Wire::Ec2 => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>{escaped}\
             </Message></Error></Errors><RequestID>0</RequestID></Response>"
        ),
        Wire::Kms => json!({ "__type": code, "message": message }).to_string(),
    };
    respond(status, wire.content_type(), Body::from(body))
}

/// Anything but an honest answer.
pub(super) fn misbehave(wire: Wire, behaviour: Behaviour) -> Response {
    let role = "arn:aws:sts::111122223333:assumed-role/Admin/mallory";
    match behaviour {
        Behaviour::ThrottledAtFirst(_) | Behaviour::Throttled400 => {
            error(wire, 400, "Throttling", "Rate exceeded")
        }
        Behaviour::Throttled403 => error(wire, 403, "Throttling", "Rate exceeded"),
        Behaviour::Throttled429 => respond(429, wire.content_type(), Body::empty()),
        Behaviour::Denied => error(wire, 403, "AccessDenied", "no"),
        Behaviour::Expired => {
            error(wire, 403, "ExpiredToken", "The security token included in the request is expired")
        }
        Behaviour::RegionDisabled => {
            error(wire, 403, "RegionDisabledException", "STS is not activated in this region")
        }
        Behaviour::ServerError | Behaviour::Honest | Behaviour::Hang => {
            error(wire, 500, "InternalFailure", "oops")
        }
        Behaviour::SlowBody => good(wire, endless(wire)),
        Behaviour::Truncated => good(wire, broken(wire)),
        Behaviour::Redirect => redirect(),
        Behaviour::HugeBody => good(wire, vec![b' '; 2 << 20]),
        Behaviour::BadJson => good(wire, wire.beginning()),
        Behaviour::Xml if matches!(wire, Wire::Iam | Wire::Ec2) => {
            respond(200, "application/json", "{}".into())
        }
        Behaviour::Xml => respond(200, "text/xml", "<GetCallerIdentityResponse/>".into()),
        Behaviour::MixedIdentity => identity("444455556666", role, "AROAMALLORY:mallory"),
        Behaviour::AnotherPrincipal => another(wire, role),
        Behaviour::AnotherPartition => {
            identity("111122223333", "arn:aws-cn:iam::111122223333:user/ana", "AIDAANA")
        }
    }
}

/// Somebody, or something, that nobody asked about.
fn another(wire: Wire, session: &str) -> Response {
    match wire {
        Wire::Sts => identity("111122223333", session, "AROAMALLORY:mallory"),
        Wire::Iam => good(
            wire,
            "<GetRoleResponse><GetRoleResult><Role><RoleId>AROAMALLORY</RoleId><Arn>arn:aws:iam::111122223333:role/mallory\
             </Arn></Role></GetRoleResult></GetRoleResponse>",
        ),
        Wire::Ec2 => good(
            wire,
            "<DescribeInstancesResponse><reservationSet><item><ownerId>111122223333</ownerId><instancesSet><item>\
             <instanceId>i-0000000000000beef</instanceId><instanceState><name>running</name></instanceState>\
             <privateDnsName>mallory.ec2.internal</privateDnsName></item></instancesSet></item></reservationSet>\
             </DescribeInstancesResponse>",
        ),
        Wire::Kms => {
            let zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
            let key = "arn:aws:kms:eu-west-1:111122223333:key/mallory";
            good(wire, json!({ "KeyId": key, "Plaintext": zeros }).to_string())
        }
    }
}

/// STS's answer to `GetCallerIdentity`.
pub(super) fn identity(account: &str, arn: &str, user_id: &str) -> Response {
    let body = json!({ "GetCallerIdentityResponse": {
        "GetCallerIdentityResult": { "Account": account, "Arn": arn, "UserId": user_id },
        "ResponseMetadata": { "RequestId": "00000000-0000-0000-0000-000000000000" },
    } });
    good(Wire::Sts, body.to_string())
}

fn redirect() -> Response {
    let mut response = respond(302, "text/html", Body::empty());
    response.headers_mut().insert("location", http::HeaderValue::from_static("https://elsewhere.example/"));
    response
}

fn endless(wire: Wire) -> Body {
    use futures::StreamExt as _;
    let first = Bytes::from_static(wire.beginning().as_bytes());
    let first = futures::stream::iter([Ok::<_, std::io::Error>(first)]);
    Body::from_stream(first.chain(futures::stream::pending()))
}

fn broken(wire: Wire) -> Body {
    let first = Bytes::from_static(wire.beginning().as_bytes());
    Body::from_stream(futures::stream::iter([Ok(first), Err(std::io::Error::other("gone"))]))
}

fn respond(status: u16, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}
