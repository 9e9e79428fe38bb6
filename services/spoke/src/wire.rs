//! What an API server writes: lists, events, and of each object what is passed on.
//!
//! Of an object only what means something here is kept, written the same way each time: what an API server adds with every write
//! (versions, managers, times) would make a change of each.

pub mod reviews;

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use lanyard_api::credentials::{ANNOTATION_PREFIX, IssuerDocuments, ServiceAccount};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What is watched of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// The ConfigMap `kube-system/aws-auth`.
    AwsAuth,
    /// ClusterRoles.
    ClusterRoles,
    /// Roles of all namespaces.
    Roles,
    /// ClusterRoleBindings.
    ClusterRoleBindings,
    /// RoleBindings of all namespaces.
    RoleBindings,
    /// ServiceAccounts of all namespaces.
    ServiceAccounts,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::AwsAuth,
        Self::ClusterRoles,
        Self::Roles,
        Self::ClusterRoleBindings,
        Self::RoleBindings,
        Self::ServiceAccounts,
    ];

    /// Those of RBAC.
    pub const RBAC: [Self; 4] =
        [Self::ClusterRoles, Self::Roles, Self::ClusterRoleBindings, Self::RoleBindings];

    /// The path of its list, without the server's own.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::AwsAuth => "api/v1/namespaces/kube-system/configmaps",
            Self::ClusterRoles => "apis/rbac.authorization.k8s.io/v1/clusterroles",
            Self::Roles => "apis/rbac.authorization.k8s.io/v1/roles",
            Self::ClusterRoleBindings => "apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            Self::RoleBindings => "apis/rbac.authorization.k8s.io/v1/rolebindings",
            Self::ServiceAccounts => "api/v1/serviceaccounts",
        }
    }

    /// Which of the list are meant.
    #[must_use]
    pub fn field_selector(self) -> Option<&'static str> {
        (self == Self::AwsAuth).then_some("metadata.name=aws-auth")
    }

    /// How messages name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AwsAuth => "configmaps/aws-auth",
            Self::ClusterRoles => "clusterroles",
            Self::Roles => "roles",
            Self::ClusterRoleBindings => "clusterrolebindings",
            Self::RoleBindings => "rolebindings",
            Self::ServiceAccounts => "serviceaccounts",
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::AwsAuth => "ConfigMap",
            Self::ClusterRoles => "ClusterRole",
            Self::Roles => "Role",
            Self::ClusterRoleBindings => "ClusterRoleBinding",
            Self::RoleBindings => "RoleBinding",
            Self::ServiceAccounts => "ServiceAccount",
        }
    }
}

/// An object as it is passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// `namespace/name`; for what has no namespace `/name`.
    pub key: String,
    /// What of it matters.
    pub content: Content,
}

/// What of an object is passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The data of aws-auth, in YAML.
    AwsAuth(Arc<str>),
    /// An RBAC object.
    Rbac {
        /// What grants something, in JSON.
        document: Arc<str>,
        /// The role that a binding gives; as in Kubernetes, it does not change but by a new binding of the same name.
        role: Option<String>,
    },
    /// A ServiceAccount.
    ServiceAccount(ServiceAccount),
}

impl Content {
    /// How much of a message it takes, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::AwsAuth(document) | Self::Rbac { document, .. } => document.len(),
            Self::ServiceAccount(account) => bytes_of(account),
        }
    }
}

/// The bytes of a ServiceAccount in a message; each text has a length and a tag beside it.
fn bytes_of(account: &ServiceAccount) -> usize {
    const BESIDE: usize = 8;
    let ServiceAccount { namespace, name, uid, annotations } = account;
    let pairs = annotations.iter().map(|(key, value)| key.len() + value.len() + 2 * BESIDE);
    [namespace, name, uid].into_iter().map(|text| text.len() + BESIDE).chain(pairs).sum()
}

/// A part of a list.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// The objects.
    pub objects: Vec<Seen>,
    /// Where a watch goes on from.
    pub version: String,
    /// For the next part; none on the last.
    pub next: Option<String>,
    /// How long it was, with all that is not passed on.
    pub bytes: usize,
}

/// What a watch tells.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// An object is new, or another one than before.
    Put(Seen, String),
    /// An object is gone.
    Gone(String, String),
    /// Nothing, up to this version.
    Bookmark(String),
    /// The version is too old: list anew.
    Expired,
    /// The server ends the watch for a reason of its own.
    Ended(String),
}

/// What an API server says that is not of the known form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the API server's answer cannot be read: {0}")]
pub struct Unreadable(String);

#[derive(Deserialize)]
struct WirePage {
    metadata: ListMeta,
    #[serde(default)]
    items: Option<Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    resource_version: String,
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct WireEvent {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

/// Kubernetes' code for a version that is too old.
const GONE: u64 = 410;

/// Reads a part of a list.
///
/// # Errors
/// [`Unreadable`] where it is none.
pub fn page(resource: Resource, body: &[u8]) -> Result<Page, Unreadable> {
    let WirePage { metadata, items } = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let objects = items.unwrap_or_default().into_iter().map(|item| seen(resource, item));
    Ok(Page {
        objects: objects.collect::<Result<_, _>>()?,
        version: metadata.resource_version,
        next: metadata.next.filter(|next| !next.is_empty()),
        bytes: body.len(),
    })
}

/// Reads one line of a watch.
///
/// # Errors
/// [`Unreadable`] where it is none.
pub fn event(resource: Resource, line: &[u8]) -> Result<Event, Unreadable> {
    let WireEvent { kind, object } = serde_json::from_slice(line).map_err(|error| unreadable(&error))?;
    let version = || {
        let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
        version.map(str::to_owned).ok_or_else(|| Unreadable("an object has no version".to_owned()))
    };
    Ok(match kind.as_str() {
        "ADDED" | "MODIFIED" => {
            let version = version()?;
            Event::Put(seen(resource, object)?, version)
        }
        "DELETED" => {
            let version = version()?;
            Event::Gone(key_of(&object)?, version)
        }
        "BOOKMARK" => Event::Bookmark(version()?),
        "ERROR" if object.get("code").and_then(Value::as_u64) == Some(GONE) => Event::Expired,
        "ERROR" => Event::Ended(message(&object)),
        other => return Err(Unreadable(format!("`{}` is no event", one_line(other)))),
    })
}

/// What a Status says, in one bounded line.
#[must_use]
pub fn status_message(body: &[u8]) -> String {
    serde_json::from_slice(body).map_or_else(|_| String::new(), |status: Value| message(&status))
}

fn message(status: &Value) -> String {
    one_line(status.get("message").and_then(Value::as_str).unwrap_or("no reason given"))
}

/// Most characters of an API server's own words.
const WORDS_CHARS_MAX: usize = 300;

/// What an API server says, in one bounded line.
pub(crate) fn one_line(text: &str) -> String {
    let plain = |c: char| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c };
    text.chars().take(WORDS_CHARS_MAX).map(plain).collect()
}

/// Where, and never what: an object's text may be anything.
fn unreadable(error: &serde_json::Error) -> Unreadable {
    Unreadable(format!("not the JSON that was expected, at byte {} of line {}", error.column(), error.line()))
}

fn key_of(object: &Value) -> Result<String, Unreadable> {
    let text = |member| object.pointer(member).and_then(Value::as_str);
    let name = text("/metadata/name").ok_or_else(|| Unreadable("an object has no name".to_owned()))?;
    Ok(format!("{}/{name}", text("/metadata/namespace").unwrap_or_default()))
}

fn seen(resource: Resource, mut object: Value) -> Result<Seen, Unreadable> {
    let key = key_of(&object)?;
    let content = match resource {
        Resource::AwsAuth => Content::AwsAuth(aws_auth(&object).into()),
        Resource::ClusterRoles | Resource::Roles | Resource::ClusterRoleBindings | Resource::RoleBindings => {
            rbac(resource, &mut object)
        }
        Resource::ServiceAccounts => Content::ServiceAccount(service_account(&object)),
    };
    Ok(Seen { key, content })
}

/// Of the annotations those alone that matter: others may be anything, and change with every deployment.
fn service_account(object: &Value) -> ServiceAccount {
    let text = |member| object.pointer(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
    let ours = annotations.into_iter().flatten().filter(|(key, _)| key.starts_with(ANNOTATION_PREFIX));
    let texts = ours.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    ServiceAccount {
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name"),
        uid: text("/metadata/uid"),
        annotations: texts.collect(),
    }
}

/// The issuer that an API server names, and the keys that it serves. Where its document says that the keys are is not asked: they
/// are its own.
///
/// # Errors
/// [`Unreadable`] where one of the two is no document of its kind.
pub fn issuer(configuration: &[u8], jwks: &[u8]) -> Result<IssuerDocuments, Unreadable> {
    #[derive(Deserialize)]
    struct Configuration {
        issuer: String,
    }
    let Configuration { issuer } =
        serde_json::from_slice(configuration).map_err(|error| unreadable(&error))?;
    let jwks = std::str::from_utf8(jwks).map_err(|_| Unreadable("the key set is no text".to_owned()))?;
    Ok(IssuerDocuments { issuer_url: issuer, jwks: jwks.to_owned() })
}

/// The release that an API server says it is of, as `major.minor`, with what its vendor adds (`1.31+`).
///
/// # Errors
/// [`Unreadable`] where it is no document of that kind.
pub fn release(version: &[u8]) -> Result<String, Unreadable> {
    #[derive(Deserialize)]
    struct Version {
        major: String,
        minor: String,
    }
    let Version { major, minor } = serde_json::from_slice(version).map_err(|error| unreadable(&error))?;
    Ok(one_line(&format!("{major}.{minor}")))
}

fn rbac(resource: Resource, object: &mut Value) -> Content {
    let mut metadata = Map::new();
    for member in ["name", "namespace", "labels"] {
        if let Some(value) = object.pointer_mut(&format!("/metadata/{member}")) {
            metadata.insert(member.to_owned(), value.take());
        }
    }
    let mut kept = Map::new();
    kept.insert("apiVersion".to_owned(), json!("rbac.authorization.k8s.io/v1"));
    kept.insert("kind".to_owned(), json!(resource.kind()));
    kept.insert("metadata".to_owned(), Value::Object(metadata));
    for member in ["rules", "aggregationRule", "subjects", "roleRef"] {
        if let Some(value) = object.get_mut(member).filter(|value| !value.is_null()) {
            kept.insert(member.to_owned(), value.take());
        }
    }
    let role = kept.get("roleRef").map(ToString::to_string);
    Content::Rbac { document: Value::Object(kept).to_string().into(), role }
}

/// The data as a person would write it, so that lines named in findings are those of the ConfigMap's parts.
fn aws_auth(object: &Value) -> String {
    let Some(Value::Object(data)) = object.get("data") else { return "data: {}\n".to_owned() };
    let sorted: BTreeMap<&String, &str> =
        data.iter().filter_map(|(key, value)| Some((key, value.as_str()?))).collect();
    if sorted.is_empty() {
        return "data: {}\n".to_owned();
    }
    let mut text = String::new();
    for (key, value) in sorted {
        match block(value) {
            // Writing into a string cannot fail.
            Some((head, lines)) => drop(writeln!(text, "{}: {head}\n{lines}", quoted(key))),
            None => drop(writeln!(text, "{}: {}", quoted(key), double_quoted(value))),
        }
    }
    text
}

fn quoted(key: &str) -> String {
    if matches!(key, "mapRoles" | "mapUsers" | "mapAccounts") { key.to_owned() } else { double_quoted(key) }
}

/// Any text on one line; what is not printable ASCII by its number, for YAML folds some of it and refuses other.
fn double_quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            ' '..='~' => text.push(c),
            // Writing into a string cannot fail.
            _ => drop(write!(text, "\\U{:08X}", u32::from(c))),
        }
    }
    text.push('"');
    text
}

/// A text as a block of lines with its head, where YAML can hold it so and gives it back unchanged.
fn block(value: &str) -> Option<(&'static str, String)> {
    let (body, head) = match value.strip_suffix('\n') {
        Some(body) => (body, "|2"),
        None => (value, "|2-"),
    };
    let is_plain = |line: &str| {
        !line.is_empty()
            && !line.ends_with(' ')
            && !line.starts_with('\t')
            && line.chars().all(|c| (' '..='~').contains(&c) || c == '\t')
    };
    // A blank line at the end would belong to the head's way of ending, a single line needs no block.
    let lines: Vec<&str> = body.split('\n').collect();
    let is_good = lines.len() > 1
        && lines.first().is_some_and(|line| is_plain(line))
        && lines.last().is_some_and(|line| is_plain(line))
        && lines.iter().all(|line| line.is_empty() || is_plain(line));
    let indented = |line: &&str| if line.is_empty() { String::new() } else { format!("  {line}") };
    is_good.then(|| (head, lines.iter().map(indented).collect::<Vec<_>>().join("\n")))
}

#[cfg(test)]
mod tests;
