//! The files that Kubernetes reads: kubeconfigs, the AuthorizationConfiguration, and the API server's flags.

pub mod admission;

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lanyard_api::{credentials::jwks_uri, mapping::Cluster, proof::EXTRA_KEY};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

/// How long an API server waits for our authorizer. A review is answered sooner, with or without its answer.
const WEBHOOK_TIMEOUT: &str = "3s";

/// A kubeconfig for a webhook: which URL, whom to trust, and the API server's own credential.
pub fn webhook_kubeconfig(url: &str, ca_pem: &str, token: &SecretString) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "lanyard", "cluster": {
            "server": url, "certificate-authority-data": STANDARD.encode(ca_pem) } }],
        "users": [{ "name": "kube-apiserver", "user": { "token": token.expose_secret() } }],
        "contexts": [{ "name": "webhook", "context": { "cluster": "lanyard", "user": "kube-apiserver" } }],
        "current-context": "webhook",
    });
    yaml(&config)
}

/// A person's kubeconfig: `lanyard token` is its exec plugin.
pub fn user_kubeconfig(
    cluster: &Cluster,
    server: &str,
    ca_pem: Option<&str>,
    plugin: &str,
    profile: Option<&str>,
) -> String {
    let mut target = json!({ "server": server });
    if let (Some(ca), Some(target)) = (ca_pem, target.as_object_mut()) {
        target.insert("certificate-authority-data".to_owned(), json!(STANDARD.encode(ca)));
    }
    let mut arguments = vec!["token", "--cluster-name", cluster.id.as_str(), "--region", &cluster.region];
    if let Some(profile) = profile {
        arguments.extend(["--profile", profile]);
    }
    let id = cluster.id.as_str();
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": id, "cluster": target }],
        "users": [{ "name": id, "user": { "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": plugin,
            "args": arguments,
            "interactiveMode": "Never",
            "provideClusterInfo": false,
            "installHint": "install `lanyard` and put it on your PATH",
        } } }],
        "contexts": [{ "name": id, "context": { "cluster": id, "user": id } }],
        "current-context": id,
    });
    yaml(&config)
}

/// Our webhook before Node and RBAC, asked about requests that bear our proof and about impersonating extra keys alone, so
/// that system identities never depend on the hub. No answer is cached: a revocation counts with the next request.
pub fn authorization_configuration(kubeconfig_path: &str) -> String {
    let webhook = |name: &str, failure_policy: &str, expression: &str| {
        json!({ "type": "Webhook", "name": name, "webhook": {
            "timeout": WEBHOOK_TIMEOUT,
            "subjectAccessReviewVersion": "v1",
            "matchConditionSubjectAccessReviewVersion": "v1",
            "cacheAuthorizedRequests": false,
            "cacheUnauthorizedRequests": false,
            "failurePolicy": failure_policy,
            "connectionInfo": { "type": "KubeConfigFile", "kubeConfigFile": kubeconfig_path },
            "matchConditions": [{ "expression": expression }],
        } })
    };
    let impersonation =
        "has(request.resourceAttributes) && request.resourceAttributes.resource == 'userextras'";
    let config = json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthorizationConfiguration",
        "authorizers": [
            webhook("lanyard-impersonation", "Deny", impersonation),
            webhook("lanyard", "NoOpinion", &format!("'{EXTRA_KEY}' in request.extra")),
            { "type": "Node", "name": "node" },
            { "type": "RBAC", "name": "rbac" },
        ],
    });
    yaml(&config)
}

/// The API server's flags that go with the files.
pub fn api_server_flags(
    cluster: &Cluster,
    token_kubeconfig: &str,
    authorization_config: &str,
) -> Vec<String> {
    vec![
        format!("--authentication-token-webhook-config-file={token_kubeconfig}"),
        "--authentication-token-webhook-version=v1".to_owned(),
        format!("--authentication-token-webhook-cache-ttl={}s", cluster.token_cache_seconds),
        format!("--authorization-config={authorization_config}"),
    ]
}

/// The flag that goes with the AdmissionConfiguration.
pub fn admission_flag(configuration: &str) -> String {
    format!("--admission-control-config-file={configuration}")
}

/// The API server's flags for an issuer of its own, with the first key of it. Its clients' tokens are for it by either name.
pub fn issuer_flags(issuer_url: &str, signing_key: &str, public_key: &str) -> Vec<String> {
    vec![
        format!("--service-account-issuer={issuer_url}"),
        format!("--service-account-jwks-uri={}", jwks_uri(issuer_url)),
        format!("--service-account-signing-key-file={signing_key}"),
        format!("--service-account-key-file={public_key}"),
        format!("--api-audiences={issuer_url},https://kubernetes.default.svc"),
    ]
}

/// The flags that a new key of an issuer needs, in the order in which they are given.
pub fn rotation_flags(signing_key: &str, public_key: &str) -> Vec<String> {
    vec![
        format!("--service-account-key-file={public_key}"),
        format!("--service-account-signing-key-file={signing_key}"),
    ]
}

/// What revocation means with these files, in words.
pub fn revocation_note(cluster: &Cluster) -> String {
    let mut note = String::new();
    // Writing to a String does not fail.
    let _ = write!(
        note,
        "revocation: every request that bears Lanyard's proof is asked about anew, so a revoked entry, a lost group or a \
         block counts with the next request, although the API server keeps the token for up to {} s. A right that was \
         added counts after the next token review. `system:masters` passes every webhook: do not map anyone to it. Only \
         an API server that cannot reach this hub at all goes by its own RBAC with the groups it has cached.",
        cluster.token_cache_seconds
    );
    note
}

fn yaml(value: &serde_json::Value) -> String {
    // JSON is YAML: where the writer fails, the plain form still says the same.
    serde_saphyr::to_string(value).unwrap_or_else(|_| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authorizer_is_asked_about_proofs_and_impersonated_extras_and_nothing_is_cached() {
        let text = authorization_configuration("/etc/lanyard/authorization.kubeconfig");
        let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let authorizers = value["authorizers"].as_array().unwrap();
        let names: Vec<&str> = authorizers.iter().map(|a| a["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["lanyard-impersonation", "lanyard", "node", "rbac"]);
        for webhook in &authorizers[..2] {
            assert_eq!(webhook["webhook"]["cacheAuthorizedRequests"], false);
            assert_eq!(webhook["webhook"]["cacheUnauthorizedRequests"], false);
        }
        assert_eq!(authorizers[0]["webhook"]["failurePolicy"], "Deny");
        assert_eq!(authorizers[1]["webhook"]["failurePolicy"], "NoOpinion");
    }

    #[test]
    fn a_webhook_kubeconfig_holds_url_ca_and_credential() {
        let text = webhook_kubeconfig("https://127.0.0.1:1/clusters/dev/tokenreview", "PEM", &"lsp_x".into());
        let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(value["clusters"][0]["cluster"]["server"], "https://127.0.0.1:1/clusters/dev/tokenreview");
        assert_eq!(value["users"][0]["user"]["token"], "lsp_x");
    }
}
