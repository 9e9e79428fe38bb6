//! Reviews in Kubernetes' protobuf form, which kubectl sends by default; read into the JSON form, which it reads too.
//!
//! The bytes are a magic number and an envelope with version, kind and the object (Kubernetes API concepts, alternate
//! representations of resources). Field numbers are those of the published `generated.proto` files.

use prost::Message;
use serde_json::{Value, json};

/// What the body begins with.
pub const MAGIC: &[u8] = b"k8s\0";
/// The media type.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// The bytes are no review in this form.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the body is no protobuf review: send a SelfSubjectReview, SelfSubjectAccessReview or SelfSubjectRulesReview"
)]
pub struct NotAReview;

#[derive(Clone, PartialEq, Message)]
struct Unknown {
    #[prost(message, optional, tag = "1")]
    type_meta: Option<TypeMeta>,
    #[prost(bytes = "bytes", tag = "2")]
    raw: bytes::Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct TypeMeta {
    #[prost(string, tag = "1")]
    api_version: String,
    #[prost(string, tag = "2")]
    kind: String,
}

#[derive(Clone, PartialEq, Message)]
struct AccessReview {
    #[prost(message, optional, tag = "2")]
    spec: Option<AccessSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct AccessSpec {
    #[prost(message, optional, tag = "1")]
    resource: Option<ResourceAttributes>,
    #[prost(message, optional, tag = "2")]
    non_resource: Option<NonResourceAttributes>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceAttributes {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    verb: String,
    #[prost(string, tag = "3")]
    group: String,
    #[prost(string, tag = "4")]
    version: String,
    #[prost(string, tag = "5")]
    resource: String,
    #[prost(string, tag = "6")]
    subresource: String,
    #[prost(string, tag = "7")]
    name: String,
    #[prost(message, optional, tag = "8")]
    field_selector: Option<Selector>,
    #[prost(message, optional, tag = "9")]
    label_selector: Option<Selector>,
}

#[derive(Clone, PartialEq, Message)]
struct Selector {
    #[prost(string, tag = "1")]
    raw_selector: String,
    #[prost(message, repeated, tag = "2")]
    requirements: Vec<Requirement>,
}

#[derive(Clone, PartialEq, Message)]
struct Requirement {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    operator: String,
    #[prost(string, repeated, tag = "3")]
    values: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct NonResourceAttributes {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(string, tag = "2")]
    verb: String,
}

#[derive(Clone, PartialEq, Message)]
struct RulesReview {
    #[prost(message, optional, tag = "2")]
    spec: Option<RulesSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct RulesSpec {
    #[prost(string, tag = "1")]
    namespace: String,
}

/// The same review as JSON: `apiVersion`, `kind` and `spec`.
///
/// # Errors
/// [`NotAReview`] for any other bytes.
pub fn to_json(body: &[u8]) -> Result<Value, NotAReview> {
    let envelope = body.strip_prefix(MAGIC).and_then(|rest| Unknown::decode(rest).ok()).ok_or(NotAReview)?;
    let TypeMeta { api_version, kind } = envelope.type_meta.unwrap_or_default();
    let spec = match kind.as_str() {
        "SelfSubjectReview" => json!({}),
        "SelfSubjectAccessReview" => {
            access_spec(AccessReview::decode(envelope.raw).map_err(|_| NotAReview)?.spec.unwrap_or_default())
        }
        "SelfSubjectRulesReview" => {
            let spec = RulesReview::decode(envelope.raw).map_err(|_| NotAReview)?.spec.unwrap_or_default();
            json!({ "namespace": spec.namespace })
        }
        _ => return Err(NotAReview),
    };
    Ok(json!({ "apiVersion": api_version, "kind": kind, "spec": spec }))
}

fn access_spec(spec: AccessSpec) -> Value {
    let mut value = serde_json::Map::new();
    if let Some(r) = spec.resource {
        let mut attributes = json!({
            "namespace": r.namespace, "verb": r.verb, "group": r.group, "version": r.version,
            "resource": r.resource, "subresource": r.subresource, "name": r.name,
        });
        if let Some(members) = attributes.as_object_mut() {
            members.extend(
                r.field_selector.map(|selector| ("fieldSelector".to_owned(), selector_value(selector))),
            );
            members.extend(
                r.label_selector.map(|selector| ("labelSelector".to_owned(), selector_value(selector))),
            );
        }
        value.insert("resourceAttributes".to_owned(), attributes);
    }
    if let Some(path) = spec.non_resource {
        value.insert("nonResourceAttributes".to_owned(), json!({ "path": path.path, "verb": path.verb }));
    }
    Value::Object(value)
}

fn selector_value(selector: Selector) -> Value {
    if !selector.raw_selector.is_empty() {
        return json!({ "rawSelector": selector.raw_selector });
    }
    let requirement = |r: Requirement| json!({ "key": r.key, "operator": r.operator, "values": r.values });
    json!({ "requirements": selector.requirements.into_iter().map(requirement).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(kind: &str, raw: &impl Message) -> Vec<u8> {
        let type_meta =
            Some(TypeMeta { api_version: "authorization.k8s.io/v1".to_owned(), kind: kind.to_owned() });
        let unknown = Unknown { type_meta, raw: raw.encode_to_vec().into() };
        [MAGIC, &unknown.encode_to_vec()].concat()
    }

    #[test]
    fn an_access_review_reads_as_its_json_form() {
        let review = AccessReview {
            spec: Some(AccessSpec {
                resource: Some(ResourceAttributes {
                    namespace: "a".to_owned(),
                    verb: "get".to_owned(),
                    resource: "pods".to_owned(),
                    ..ResourceAttributes::default()
                }),
                non_resource: None,
            }),
        };
        let value = to_json(&envelope("SelfSubjectAccessReview", &review)).unwrap();
        assert_eq!(value["kind"], "SelfSubjectAccessReview");
        assert_eq!(value["spec"]["resourceAttributes"]["resource"], "pods");
        assert!(value["spec"].get("nonResourceAttributes").is_none());
    }

    #[test]
    fn the_bytes_that_kubectl_sends_for_whoami_are_read() {
        let sent = b"k8s\0\n-\n\x18authentication.k8s.io/v1\x12\x11SelfSubjectReview\x12\x1a\n\x10\n\x00\x12\x00\x1a\x00\"\x00*\x002\x008\x00B\x00\
                     \x12\x06\n\x04\n\0\x12\0\x1a\0\"\0";
        let value = to_json(sent).unwrap();
        assert_eq!(value["apiVersion"], "authentication.k8s.io/v1");
        assert_eq!(value["kind"], "SelfSubjectReview");
    }

    #[test]
    fn other_bytes_are_refused() {
        for bad in [&b""[..], b"k8s", b"{}", b"k8s\0\xff\xff", b"k8s\0"] {
            assert_eq!(to_json(bad), Err(NotAReview), "{bad:?}");
        }
        let other = envelope("Pod", &RulesReview::default());
        assert_eq!(to_json(&other), Err(NotAReview));
    }
}
