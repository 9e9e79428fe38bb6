//! Answers and errors as the protocols write them.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use lanyard_api::aws_wire::{AwsError, Protocol, Service};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Answer, Members, Node, epoch_seconds};

/// Where clients look for the request's number.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
/// Where clients of REST-JSON look for the error's code.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// EKS's errors that name a cluster (service model); the others have a message alone.
const NAMES_CLUSTER: &[&str] = &[
    "InvalidParameterException",
    "InvalidRequestException",
    "ResourceInUseException",
    "ResourceLimitExceededException",
    "ResourceNotFoundException",
    "ServerException",
    "ThrottlingException",
];

/// What an answer goes out as.
pub(crate) type Body = Full<Bytes>;

/// An answer to HEAD: what GET would be told, without its body, which over HTTP/2 breaks the stream.
pub(crate) fn head_alone(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = http_body::Body::size_hint(&body).exact() {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(parts, Body::default())
}

/// How a caller wants to be answered, as far as is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// The service that was signed for; none where that is not known.
    pub(crate) service: Option<Service>,
    /// Whether the request speaks Query, whosever it is.
    pub(crate) is_query: bool,
    /// Whether the caller of a service that speaks Query takes JSON (aws-iam-authenticator does).
    pub(crate) accepts_json: bool,
    /// The request's number.
    pub(crate) id: Uuid,
}

impl Style {
    /// The service in whose codes and protocol a refusal is written. One that is signed for and none of ours is told so as STS would, where
    /// it is asked in Query: CloudFormation's clients read nothing else.
    pub(crate) fn words(&self) -> Option<Service> {
        self.service.or(self.is_query.then_some(Service::Sts))
    }

    /// The answer of an operation.
    pub(crate) fn answer(&self, operation: &str, answer: &Answer) -> Response<Body> {
        match answer {
            Answer::Rest(body) => self.json(StatusCode::OK, body),
            Answer::Written(body) => self.json_bytes(StatusCode::OK, body.clone()),
            Answer::Query(members) if self.accepts_json => self.json(
                StatusCode::OK,
                &json!({ format!("{operation}Response"): {
                    format!("{operation}Result"): object(members),
                    "ResponseMetadata": { "RequestId": self.id.to_string() },
                } }),
            ),
            Answer::Query(members) => {
                self.xml(StatusCode::OK, &self.xml_answer(operation, members, !members.is_empty()))
            }
            Answer::EmptyResult if self.accepts_json => self.answer(operation, &Answer::Query(Vec::new())),
            Answer::EmptyResult => self.xml(StatusCode::OK, &self.xml_answer(operation, &Vec::new(), true)),
        }
    }

    /// An error; `cluster` is the one that the request names.
    pub(crate) fn error(&self, error: &AwsError, cluster: Option<&str>) -> Response<Body> {
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let AwsError { code, message, .. } = error;
        let fault = if status.is_server_error() { "Receiver" } else { "Sender" };
        let mut response = match self.words().map_or(Protocol::RestJson, Service::protocol) {
            Protocol::RestJson => {
                let mut body = json!({ "message": message });
                let of_eks = self.service != Some(Service::EksAuth);
                let named = cluster.filter(|_| of_eks && NAMES_CLUSTER.contains(&&**code));
                if let (Some(cluster), Value::Object(members)) = (named, &mut body) {
                    members.insert("clusterName".to_owned(), Value::from(cluster));
                }
                let mut response = self.json(status, &body);
                if let Ok(code) = HeaderValue::from_str(code) {
                    response.headers_mut().insert(ERROR_TYPE, code);
                }
                response
            }
            Protocol::Query if self.accepts_json => self.json(
                status,
                &json!({
                    "Error": { "Code": code, "Message": message, "Type": fault },
                    "RequestId": self.id.to_string(),
                }),
            ),
            Protocol::Query => self.xml(status, &self.xml_error(fault, code, message)),
        };
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, const { HeaderValue::from_static("1") });
        }
        response
    }

    /// A text for people, who came without a signature.
    pub(crate) fn plain(&self, status: StatusCode, text: &str) -> Response<Body> {
        self.response(
            status,
            const { HeaderValue::from_static("text/plain; charset=utf-8") },
            text.to_owned(),
        )
    }

    fn json(&self, status: StatusCode, body: &Value) -> Response<Body> {
        // Straight into bytes: as text it would go through a formatter, piece by piece. What is a value can be written.
        self.json_bytes(status, serde_json::to_vec(body).unwrap_or_default())
    }

    fn json_bytes(&self, status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
        self.response(status, const { HeaderValue::from_static("application/json") }, body)
    }

    fn xml(&self, status: StatusCode, body: &str) -> Response<Body> {
        self.response(status, const { HeaderValue::from_static("text/xml") }, body.to_owned())
    }

    fn response(&self, status: StatusCode, kind: HeaderValue, body: impl Into<Bytes>) -> Response<Body> {
        let mut response = Response::new(Full::new(body.into()));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if let Ok(id) = HeaderValue::from_str(&self.id.to_string()) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }

    /// The namespace of a service's documents (service models, metadata).
    fn namespace(&self) -> String {
        let service = self.service.unwrap_or(Service::Sts);
        match service {
            Service::Sts => format!("https://sts.amazonaws.com/doc/{}/", service.version()),
            Service::Iam | Service::Eks | Service::EksAuth => {
                format!("https://{}.amazonaws.com/doc/{}/", service.as_str(), service.version())
            }
        }
    }

    /// What answers nothing has no result: the parsers of SDKs look for none, unless the model has one that is empty.
    fn xml_answer(&self, operation: &str, members: &Members, has_result: bool) -> String {
        let mut xml = format!("<{operation}Response xmlns=\"{}\">", self.namespace());
        if has_result {
            let _ = write!(xml, "<{operation}Result>");
            write_members(&mut xml, members);
            let _ = write!(xml, "</{operation}Result>");
        }
        let _ = writeln!(
            xml,
            "<ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{operation}Response>",
            self.id
        );
        xml
    }

    fn xml_error(&self, fault: &str, code: &str, message: &str) -> String {
        let mut xml = format!("<ErrorResponse xmlns=\"{}\"><Error>", self.namespace());
        write_members(
            &mut xml,
            &vec![
                ("Type", Node::Text(fault.to_owned())),
                ("Code", Node::Text(code.to_owned())),
                ("Message", Node::Text(message.to_owned())),
            ],
        );
        let _ = writeln!(xml, "</Error><RequestId>{}</RequestId></ErrorResponse>", self.id);
        xml
    }
}

fn write_members(xml: &mut String, members: &Members) {
    for (name, node) in members {
        write_node(xml, name, node);
    }
}

fn write_node(xml: &mut String, name: &str, node: &Node) {
    let _ = write!(xml, "<{name}>");
    match node {
        Node::List(items) => items.iter().for_each(|item| write_node(xml, "member", item)),
        Node::Members(members) => write_members(xml, members),
        other => escape(xml, &other.text().unwrap_or_default()),
    }
    let _ = write!(xml, "</{name}>");
}

/// Text between tags. What XML 1.0 cannot hold at all is left out by its sign for that.
fn escape(xml: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '\r' => xml.push_str("&#13;"),
            '\t' | '\n' => xml.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => xml.push('\u{fffd}'),
            c => xml.push(c),
        }
    }
}

fn object(members: &Members) -> Value {
    Value::Object(members.iter().map(|(name, node)| ((*name).to_owned(), value(node))).collect())
}

fn value(node: &Node) -> Value {
    match node {
        Node::Text(text) => Value::from(text.as_str()),
        Node::Number(number) => Value::from(*number),
        Node::Flag(flag) => Value::from(*flag),
        Node::Moment(at) => Value::from(epoch_seconds(*at)),
        Node::List(items) => items.iter().map(value).collect(),
        Node::Members(members) => object(members),
    }
}

#[cfg(test)]
mod tests;
