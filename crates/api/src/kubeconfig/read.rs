//! Reading the one context.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::SecretString;
use serde_json::{Map, Value};
use url::Url;

use super::{KubeCredential, Kubeconfig, KubeconfigError, PEM_BYTES_MAX, TOKEN_BYTES_MAX};

/// Levels of nesting: a kubeconfig has six, with extensions a few more.
const DEPTH_MAX: usize = 32;
/// Aliases and anchors. kubectl writes none.
const ALIASES_MAX: usize = 16;
/// Longest name of a context, cluster or user that a message repeats.
const NAME_CHARS_MAX: usize = 80;

const RUNS: &str =
    "a hub runs no command for others: give the token of a service account, or a client certificate";
const READS: &str = "a hub reads no file for others: write the value into the kubeconfig (`kubectl config view --flatten --raw`)";
const ACTS: &str = "a hub acts for nobody else: give a credential with the rights themselves";
const PROXIED: &str = "a hub goes through no proxy of others: where it cannot reach in, run `lanyard spoke push` inside the cluster";
const UNVERIFIED: &str = "the API server has to prove who it is: give its CA as certificate-authority-data";
const PASSWORD: &str =
    "API servers take no passwords: give the token of a service account, or a client certificate";
const RENAMED: &str =
    "the API server's certificate has to hold the name in its URL: use a URL with a name that it holds";
const UNKNOWN: &str = "this member is not known here, and nothing is done that is not known: leave it out";

/// Members of a cluster that are refused, and why.
const CLUSTER_REFUSED: &[(&str, &str)] =
    &[("certificate-authority", READS), ("proxy-url", PROXIED), ("tls-server-name", RENAMED)];
/// Members of a user that are refused, and why.
const USER_REFUSED: &[(&str, &str)] = &[
    ("exec", RUNS),
    ("auth-provider", RUNS),
    ("tokenFile", READS),
    ("client-certificate", READS),
    ("client-key", READS),
    ("username", PASSWORD),
    ("password", PASSWORD),
    ("as", ACTS),
    ("as-uid", ACTS),
    ("as-groups", ACTS),
    ("as-user-extra", ACTS),
    ("impersonate", ACTS),
];

type Object = Map<String, Value>;

pub(super) fn reduce(text: &str, context: Option<&str>) -> Result<Kubeconfig, KubeconfigError> {
    let root = parse(text)?;
    let kind = root.get("kind").and_then(Value::as_str);
    if kind.is_some_and(|kind| kind != "Config") {
        return Err(malformed("its kind is not `Config`"));
    }
    let name = match context {
        Some(name) => name,
        None => text_of(&root, "current-context", "current-context")?
            .ok_or_else(|| missing("current-context", "name the context that is meant"))?,
    };
    let context = named(&root, "contexts", "context", name)?;
    let part = |member: &'static str| {
        let place = format!("contexts[{}].{member}", shown(name));
        let found = text_of(context, member, &place)?;
        found.ok_or_else(|| missing(place, "a context names its cluster and its user"))
    };
    let (cluster_name, user_name) = (part("cluster")?, part("user")?);
    let cluster = named(&root, "clusters", "cluster", cluster_name)?;
    let user = named(&root, "users", "user", user_name)?;
    let (server, certificate_authority) =
        read_cluster(cluster, &format!("clusters[{}]", shown(cluster_name)))?;
    let credential = read_user(user, &format!("users[{}]", shown(user_name)))?;
    Ok(Kubeconfig { server, certificate_authority, credential })
}

fn parse(text: &str) -> Result<Object, KubeconfigError> {
    let budget = serde_saphyr::budget! {
        max_depth: DEPTH_MAX,
        max_documents: 1,
        max_aliases: ALIASES_MAX,
        max_anchors: ALIASES_MAX,
        max_merge_keys: 0,
    };
    let options = serde_saphyr::options! { budget: budget, strict_booleans: true, with_snippet: false };
    let read: Result<Value, serde_saphyr::Error> = serde_saphyr::from_str_with_options(text, options);
    match read {
        Ok(Value::Object(root)) => Ok(root),
        Ok(_) => Err(malformed("it is not a mapping")),
        // The place alone: what stands there may be a secret.
        Err(error) => Err(malformed(&match error.location() {
            Some(location) => format!("it cannot be read as YAML, line {}", location.line()),
            None => "it cannot be read as YAML".to_owned(),
        })),
    }
}

/// The body of the one item of a list that has this name.
fn named<'a>(
    root: &'a Object,
    list: &'static str,
    member: &'static str,
    name: &str,
) -> Result<&'a Object, KubeconfigError> {
    let place = || format!("{list}[{}]", shown(name));
    let items = match root.get(list) {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(items)) => items.as_slice(),
        Some(_) => return Err(invalid(list, "it has to be a list")),
    };
    let mut found = items.iter().filter(|item| item.get("name").and_then(Value::as_str) == Some(name));
    let first = found.next().ok_or_else(|| missing(place(), "no item of the list has this name"))?;
    if found.next().is_some() {
        return Err(invalid(place(), "two items have this name: keep the one that is meant"));
    }
    match first.get(member) {
        Some(Value::Object(body)) => Ok(body),
        Some(Value::Null) | None => {
            Err(missing(format!("{}.{member}", place()), "the item says nothing but its name"))
        }
        Some(_) => Err(invalid(format!("{}.{member}", place()), "it has to be a mapping")),
    }
}

fn read_cluster(cluster: &Object, at: &str) -> Result<(Url, Option<String>), KubeconfigError> {
    refuse(cluster, CLUSTER_REFUSED, at)?;
    let place = |member: &str| format!("{at}.cluster.{member}");
    match cluster.get("insecure-skip-tls-verify") {
        None | Some(Value::Null | Value::Bool(false)) => {}
        Some(_) => {
            return Err(KubeconfigError::Refused {
                place: place("insecure-skip-tls-verify"),
                why: UNVERIFIED,
            });
        }
    }
    known(
        cluster,
        &[
            "server",
            "certificate-authority-data",
            "insecure-skip-tls-verify",
            "disable-compression",
            "extensions",
        ],
        &format!("{at}.cluster"),
    )?;
    let server = text_of(cluster, "server", &place("server"))?
        .ok_or_else(|| missing(place("server"), "the URL of the API server, https://host:port"))?;
    let authority = pem(cluster, "certificate-authority-data", &place("certificate-authority-data"))?;
    Ok((read_server(server, &place("server"))?, authority))
}

fn read_server(text: &str, place: &str) -> Result<Url, KubeconfigError> {
    let rule = "write https://host[:port][/path], without user, query or fragment";
    let url = Url::parse(text).map_err(|_| invalid(place, rule))?;
    if url.scheme() == "http" {
        let why = "whoever is on the way would see the credential: API servers are called by https alone";
        return Err(KubeconfigError::Refused { place: place.to_owned(), why });
    }
    let plain = url.scheme() == "https"
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if plain { Ok(url) } else { Err(invalid(place, rule)) }
}

fn read_user(user: &Object, at: &str) -> Result<KubeCredential, KubeconfigError> {
    refuse(user, USER_REFUSED, at)?;
    known(
        user,
        &["token", "client-certificate-data", "client-key-data", "extensions"],
        &format!("{at}.user"),
    )?;
    let place = |member: &str| format!("{at}.user.{member}");
    let token = text_of(user, "token", &place("token"))?;
    let chain = pem(user, "client-certificate-data", &place("client-certificate-data"))?;
    let key = pem(user, "client-key-data", &place("client-key-data"))?.map(SecretString::from);
    match (token, chain, key) {
        (Some(token), None, None) => read_token(token, &place("token")),
        (None, Some(chain_pem), Some(key_pem)) => {
            Ok(KubeCredential::ClientCertificate { chain_pem, key_pem })
        }
        (None, Some(_), None) => Err(missing(place("client-key-data"), "a client certificate needs its key")),
        (None, None, Some(_)) => {
            Err(missing(place("client-certificate-data"), "a client key needs its certificate"))
        }
        (Some(_), _, _) => Err(invalid(
            format!("{at}.user"),
            "it has a token and a client certificate: leave one of them out",
        )),
        (None, None, None) => Err(missing(
            format!("{at}.user"),
            "give `token`, or `client-certificate-data` and `client-key-data`",
        )),
    }
}

fn read_token(token: &str, place: &str) -> Result<KubeCredential, KubeconfigError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(invalid(place, "a bearer token has at most 16384 characters"));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(invalid(place, "a bearer token has visible ASCII characters alone"));
    }
    Ok(KubeCredential::Token(token.into()))
}

/// Whatever is written there, empty too: who writes such a member means it.
fn refuse(
    object: &Object,
    refused: &[(&'static str, &'static str)],
    at: &str,
) -> Result<(), KubeconfigError> {
    let member = if at.starts_with("users") { "user" } else { "cluster" };
    // In the order of the table, so that the message does not depend on the file's.
    match refused.iter().find(|(name, _)| object.get(*name).is_some_and(|value| !value.is_null())) {
        Some((name, why)) => Err(KubeconfigError::Refused { place: format!("{at}.{member}.{name}"), why }),
        None => Ok(()),
    }
}

fn known(object: &Object, members: &[&str], at: &str) -> Result<(), KubeconfigError> {
    match object.iter().find(|(key, value)| !members.contains(&key.as_str()) && !value.is_null()) {
        Some((key, _)) => {
            Err(KubeconfigError::Refused { place: format!("{at}.{}", shown(key)), why: UNKNOWN })
        }
        None => Ok(()),
    }
}

/// Base64 of PEM.
fn pem(object: &Object, member: &str, place: &str) -> Result<Option<String>, KubeconfigError> {
    let Some(text) = text_of(object, member, place)? else { return Ok(None) };
    let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    if packed.len() > PEM_BYTES_MAX.div_ceil(3) * 4 {
        return Err(invalid(place, "it has more than 65536 bytes: give one certificate chain or key"));
    }
    let bytes = STANDARD.decode(packed).map_err(|_| invalid(place, "it has to be base64"))?;
    let text = String::from_utf8(bytes).ok().filter(|text| text.contains("-----BEGIN "));
    text.map(Some).ok_or_else(|| invalid(place, "it has to be PEM inside of base64"))
}

/// A text that may be missing or empty.
fn text_of<'a>(object: &'a Object, member: &str, place: &str) -> Result<Option<&'a str>, KubeconfigError> {
    match object.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(invalid(place, "it has to be a text: put it into quotes")),
    }
}

/// A name as messages repeat it: on one line, of bounded length.
fn shown(name: &str) -> String {
    let printable = |c: char| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '`');
    name.chars().take(NAME_CHARS_MAX).map(|c| if printable(c) { c } else { '?' }).collect()
}

fn malformed(what: &str) -> KubeconfigError {
    KubeconfigError::Malformed(what.to_owned())
}

fn missing(place: impl Into<String>, next: &'static str) -> KubeconfigError {
    KubeconfigError::Missing { place: place.into(), next }
}

fn invalid(place: impl Into<String>, rule: &'static str) -> KubeconfigError {
    KubeconfigError::Invalid { place: place.into(), rule }
}
