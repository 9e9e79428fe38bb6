//! Reading what AWS says to the hub, strictly, whichever of its wires it speaks.

use lanyard_kit::http_client::Answer;
use serde::Deserialize;

use crate::codes::{is_throttling, is_trouble, well_formed};
use crate::xml::{Element, XmlError};

/// How a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// Query, answered in XML, errors as `ErrorResponse`: IAM.
    Query,
    /// Query, answered in JSON because it was asked to: STS.
    QueryAsJson,
    /// Query, answered in XML, errors as `Response`: EC2.
    Ec2,
    /// JSON both ways, the error's type in `__type`: KMS.
    Json,
}

/// What one answer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading<T> {
    Done(T),
    /// With AWS's code.
    Refused(String),
    Throttled,
    Trouble,
    Bad(Unreadable),
}

/// Why an answer cannot be used. Nothing of its content is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

impl Unreadable {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl From<XmlError> for Unreadable {
    fn from(error: XmlError) -> Self {
        Self(error.to_string())
    }
}

/// Reads an answer, `done` what has status 200.
pub(super) fn read<T>(
    answer: Answer,
    wire: Wire,
    done: &impl Fn(Answer) -> Result<T, Unreadable>,
) -> Reading<T> {
    let status = answer.status.as_u16();
    if status == 200 {
        if !speaks(&answer, wire) {
            return Reading::Bad(Unreadable::new("it is of another content type"));
        }
        return match done(answer) {
            Ok(value) => Reading::Done(value),
            Err(reason) => Reading::Bad(reason),
        };
    }
    if status == 429 {
        return Reading::Throttled;
    }
    match error_code(&answer.body, wire) {
        Some(code) if is_throttling(&code) => Reading::Throttled,
        Some(code) if is_trouble(&code) => Reading::Trouble,
        _ if status >= 500 => Reading::Trouble,
        Some(code) if (400..500).contains(&status) => Reading::Refused(code),
        _ => Reading::Bad(Unreadable::new(format!("status {status} without an error code of AWS"))),
    }
}

fn speaks(answer: &Answer, wire: Wire) -> bool {
    let Some(value) = answer.headers.get(http::header::CONTENT_TYPE) else { return true };
    let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    let essence = text.split(';').next().unwrap_or_default().trim();
    match wire {
        Wire::Query | Wire::Ec2 => matches!(essence, "text/xml" | "application/xml"),
        Wire::QueryAsJson | Wire::Json => {
            matches!(essence, "application/json" | "text/json")
                || essence.starts_with("application/x-amz-json")
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct JsonErrorEnvelope {
    error: JsonError,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct JsonError {
    code: String,
}

#[derive(Deserialize)]
struct TypedError {
    #[serde(rename = "__type")]
    of_type: String,
}

fn error_code(body: &[u8], wire: Wire) -> Option<String> {
    match wire {
        Wire::Query | Wire::Ec2 => error_code_in(body),
        Wire::QueryAsJson => {
            let envelope: JsonErrorEnvelope = serde_json::from_slice(body).ok()?;
            well_formed(&envelope.error.code)
        }
        Wire::Json => {
            let error: TypedError = serde_json::from_slice(body).ok()?;
            // `com.amazonaws.kms#NotFoundException`, or the name alone.
            let name = error.of_type.rsplit('#').next().unwrap_or_default();
            well_formed(name.split(':').next().unwrap_or_default())
        }
    }
}

/// The code of an error in XML: `ErrorResponse/Error/Code`, or EC2's `Response/Errors/Error/Code`.
pub(crate) fn error_code_in(body: &[u8]) -> Option<String> {
    let root = Element::parse_any(body).ok()?;
    let parent = match root.name() {
        "ErrorResponse" => &root,
        "Response" => root.one("Errors").ok()?,
        _ => return None,
    };
    // EC2 may tell of several; the first is the one that its own tools show.
    let error = parent.all("Error").next()?;
    well_formed(error.text_of("Code").ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(status: u16, content_type: &str, body: &str, wire: Wire) -> Reading<()> {
        let headers = [(http::header::CONTENT_TYPE, content_type.parse().unwrap())].into_iter().collect();
        let status = http::StatusCode::from_u16(status).unwrap();
        read(Answer { status, headers, body: body.to_owned().into() }, wire, &|_| Ok(()))
    }

    fn iam(code: &str) -> String {
        format!(
            "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type><Code>{code}\
             </Code><Message>User x is not authorized, Throttling</Message></Error><RequestId>1</RequestId></ErrorResponse>"
        )
    }

    fn ec2(code: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>x</Message>\
             </Error></Errors><RequestID>1</RequestID></Response>"
        )
    }

    #[test]
    fn each_wire_has_its_own_way_to_name_an_error() {
        let sts = |code: &str| format!(r#"{{"Error":{{"Code":"{code}","Message":"","Type":"Sender"}}}}"#);
        let kms = |code: &str| format!(r#"{{"__type":"com.amazonaws.kms#{code}","message":""}}"#);
        type Error<'a> = &'a dyn Fn(&str) -> String;
        let wires: [(Wire, Error<'_>); 4] =
            [(Wire::Query, &iam), (Wire::Ec2, &ec2), (Wire::QueryAsJson, &sts), (Wire::Json, &kms)];
        for (wire, error) in wires {
            let refused = |code: &str| Reading::Refused(code.to_owned());
            let cases = [
                (403, error("AccessDenied"), refused("AccessDenied")),
                (404, error("NoSuchEntity"), refused("NoSuchEntity")),
                (400, error("Throttling"), Reading::Throttled),
                (400, error("ThrottlingException"), Reading::Throttled),
                (503, error("RequestLimitExceeded"), Reading::Throttled),
                (429, String::new(), Reading::Throttled),
                (400, error("KMSInternalException"), Reading::Trouble),
                (500, error("AccessDenied"), Reading::Trouble),
                (503, "<html>".to_owned(), Reading::Trouble),
            ];
            for (status, body, expected) in cases {
                assert_eq!(reading(status, "text/xml", &body, wire), expected, "{wire:?} {status} {body}");
            }
            let nobodys = [
                (403, "<html>no</html>".to_owned()),
                (400, String::new()),
                (302, String::new()),
                (204, String::new()),
                (403, error("Access Denied")),
                (403, error("")),
            ];
            for (status, body) in nobodys {
                let read = reading(status, "text/html", &body, wire);
                assert!(matches!(read, Reading::Bad(_)), "{wire:?} {status} {body}: {read:?}");
            }
        }
    }

    #[test]
    fn a_success_is_of_the_wires_own_content_type() {
        let cases = [
            (Wire::Query, "text/xml", true),
            (Wire::Ec2, "text/xml;charset=UTF-8", true),
            (Wire::Query, "application/json", false),
            (Wire::Json, "application/x-amz-json-1.1", true),
            (Wire::QueryAsJson, "application/json", true),
            (Wire::QueryAsJson, "text/xml", false),
            (Wire::Json, "text/html", false),
        ];
        for (wire, content_type, is_it) in cases {
            let read = reading(200, content_type, "", wire);
            assert_eq!(read == Reading::Done(()), is_it, "{wire:?} {content_type}");
        }
    }
}
