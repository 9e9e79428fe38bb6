//! The files by which an API server asks the hub about pods.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::yaml;
use crate::failure::Failure;

/// Namespaces say by it what becomes of pods that the hub does not answer for: `required`, `off`, or nothing.
const NAMESPACE_LABEL: &str = "lanyard.dev/pod-identity";
/// Pods that are left out (EKS Pod Identity webhook).
const SKIP_LABEL: &str = "eks.amazonaws.com/skip-pod-identity-webhook";
/// Seconds that the API server waits. A review is answered sooner, with or without its answer.
const TIMEOUT_SECONDS: u32 = 5;

/// The kubeconfig by which the API server proves itself: it looks for the user by host and port of the webhook's URL (Kubernetes,
/// "Authenticate apiservers").
///
/// # Errors
/// [`Failure::Usage`] where the URL has no host.
pub fn kubeconfig(url: &str, ca_pem: &str, token: &SecretString) -> Result<String, Failure> {
    let parsed = Url::parse(url).map_err(|error| Failure::usage(format!("`{url}` is no URL: {error}")))?;
    let host = parsed.host_str().ok_or_else(|| Failure::usage(format!("`{url}` has no host")))?;
    let port = parsed.port_or_known_default().unwrap_or(443);
    let user = format!("{host}:{port}");
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "lanyard", "cluster": {
            "server": format!("https://{user}"), "certificate-authority-data": STANDARD.encode(ca_pem) } }],
        "users": [{ "name": user, "user": { "token": token.expose_secret() } }],
        "contexts": [{ "name": "webhook", "context": { "cluster": "lanyard", "user": user } }],
        "current-context": "webhook",
    });
    Ok(yaml(&config))
}

/// What tells the API server of that kubeconfig.
pub fn configuration(kubeconfig_path: &str) -> String {
    let config = json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [{ "name": "MutatingAdmissionWebhook", "configuration": {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "WebhookAdmissionConfiguration",
            "kubeConfigFile": kubeconfig_path,
        } }],
    });
    yaml(&config)
}

/// The two webhooks. They differ in what becomes of a pod where there is no answer, or none that is known, and namespaces choose. Each has
/// a URL of its own, by which the hub tells them apart.
pub fn webhooks(url: &str, ca_pem: &str) -> String {
    let webhook = |name: &str, url: &str, failure_policy: &str, namespaces: Value| {
        json!({
            "name": name,
            "clientConfig": { "url": url, "caBundle": STANDARD.encode(ca_pem) },
            "rules": [
                rule("CREATE", "pods"),
                rule("UPDATE", "pods/ephemeralcontainers"),
            ],
            "namespaceSelector": { "matchExpressions": [namespaces] },
            "objectSelector": { "matchExpressions": [{ "key": SKIP_LABEL, "operator": "DoesNotExist" }] },
            "failurePolicy": failure_policy,
            "matchPolicy": "Equivalent",
            "reinvocationPolicy": "IfNeeded",
            "sideEffects": "None",
            "timeoutSeconds": TIMEOUT_SECONDS,
            "admissionReviewVersions": ["v1", "v1beta1"],
        })
    };
    let namespaces = |operator: &str, values: &[&str]| json!({ "key": NAMESPACE_LABEL, "operator": operator, "values": values });
    let config = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": { "name": "lanyard-pod-identity" },
        "webhooks": [
            webhook("pods.lanyard.dev", url, "Ignore", namespaces("NotIn", &["required", "off"])),
            webhook(
                "required.pods.lanyard.dev",
                &format!("{url}/required"),
                "Fail",
                namespaces("In", &["required"]),
            ),
        ],
    });
    yaml(&config)
}

fn rule(operation: &str, resource: &str) -> Value {
    json!({
        "apiGroups": [""], "apiVersions": ["v1"], "operations": [operation], "resources": [resource],
        "scope": "Namespaced",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn the_api_server_finds_its_credential_by_host_and_port() {
        for (url, user) in [
            ("https://hub.example/clusters/dev/mutate", "hub.example:443"),
            ("https://127.0.0.1:8443/clusters/dev/mutate", "127.0.0.1:8443"),
        ] {
            let config = read(&kubeconfig(url, "PEM", &"lsp_x".into()).unwrap());
            assert_eq!(config["users"][0]["name"], user);
            assert_eq!(config["users"][0]["user"]["token"], "lsp_x");
        }
        assert!(kubeconfig("mailto:x", "PEM", &"lsp_x".into()).is_err());
        let config = read(&configuration("/etc/a.kubeconfig"));
        assert_eq!(config["plugins"][0]["configuration"]["kubeConfigFile"], "/etc/a.kubeconfig");
    }

    #[test]
    fn no_namespace_meets_both_webhooks_and_one_alone_blocks() {
        let config = read(&webhooks("https://hub.example/clusters/dev/mutate", "PEM"));
        let all = config["webhooks"].as_array().unwrap();
        let policies: Vec<_> = all.iter().map(|webhook| webhook["failurePolicy"].as_str().unwrap()).collect();
        assert_eq!(policies, ["Ignore", "Fail"]);
        let urls: Vec<_> =
            all.iter().map(|webhook| webhook["clientConfig"]["url"].as_str().unwrap()).collect();
        let url = "https://hub.example/clusters/dev/mutate";
        assert_eq!(urls, [url.to_owned(), format!("{url}/required")]);
        let meets = |webhook: &Value, label: Option<&str>| {
            let expression = &webhook["namespaceSelector"]["matchExpressions"][0];
            let is_named =
                label.is_some_and(|label| expression["values"].as_array().unwrap().contains(&label.into()));
            is_named == (expression["operator"] == "In")
        };
        for (label, expected) in [
            (None, [true, false]),
            (Some("required"), [false, true]),
            (Some("off"), [false, false]),
            (Some("x"), [true, false]),
        ] {
            assert_eq!([meets(&all[0], label), meets(&all[1], label)], expected, "{label:?}");
        }
        for webhook in all {
            assert!(!webhook["clientConfig"]["url"].as_str().unwrap().contains(['?', '@']));
            assert_eq!(webhook["sideEffects"], "None");
        }
    }
}
