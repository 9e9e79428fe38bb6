//! The files that Kubernetes reads: kubeconfigs, the AuthorizationConfiguration, and the API server's flags.

pub mod admission;
mod version;

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lanyard_api::{credentials::jwks_uri, mapping::Cluster, proof::EXTRA_KEY};
use lanyard_gateway::config::WEBHOOK_TIMEOUT_SECONDS;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

pub use version::{KubernetesVersion, Structured, VersionError, Way};

/// The shortest time that an API server takes: what is kept for so long is not found again.
const NOT_CACHED: &str = "1ns";

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
    flags: &[String],
) -> String {
    let mut target = json!({ "server": server });
    if let (Some(ca), Some(target)) = (ca_pem, target.as_object_mut()) {
        target.insert("certificate-authority-data".to_owned(), json!(STANDARD.encode(ca)));
    }
    let mut arguments = vec!["token", "--cluster-name", cluster.id.as_str(), "--region", &cluster.region];
    arguments.extend(flags.iter().map(String::as_str));
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
pub fn authorization_configuration(kubeconfig_path: &str, structured: Structured) -> String {
    let (allowed, not_allowed) = match structured.has_cache_switches {
        true => (("cacheAuthorizedRequests", json!(false)), ("cacheUnauthorizedRequests", json!(false))),
        false => (("authorizedTTL", json!(NOT_CACHED)), ("unauthorizedTTL", json!(NOT_CACHED))),
    };
    let webhook = |name: &str, failure_policy: &str, expression: &str| {
        json!({ "type": "Webhook", "name": name, "webhook": {
            "timeout": format!("{WEBHOOK_TIMEOUT_SECONDS}s"),
            "subjectAccessReviewVersion": "v1",
            "matchConditionSubjectAccessReviewVersion": "v1",
            allowed.0: allowed.1,
            not_allowed.0: not_allowed.1,
            "failurePolicy": failure_policy,
            "connectionInfo": { "type": "KubeConfigFile", "kubeConfigFile": kubeconfig_path },
            "matchConditions": [{ "expression": expression }],
        } })
    };
    let impersonation =
        "has(request.resourceAttributes) && request.resourceAttributes.resource == 'userextras'";
    let config = json!({
        "apiVersion": structured.api_version,
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

/// The API server's flags that go with the files. `authorization` is the AuthorizationConfiguration, or where flags alone tell of
/// the authorizer, its kubeconfig.
pub fn api_server_flags(
    cluster: &Cluster,
    token_kubeconfig: &str,
    authorization: &str,
    way: Way,
) -> Vec<String> {
    let mut flags = vec![
        format!("--authentication-token-webhook-config-file={token_kubeconfig}"),
        "--authentication-token-webhook-version=v1".to_owned(),
        format!("--authentication-token-webhook-cache-ttl={}s", cluster.token_cache_seconds),
    ];
    match way {
        Way::File(structured) => {
            flags.push(format!("--authorization-config={authorization}"));
            if structured.needs_gate {
                flags.push("--feature-gates=StructuredAuthorizationConfiguration=true".to_owned());
            }
        }
        Way::Flags => flags.extend([
            "--authorization-mode=Webhook,Node,RBAC".to_owned(),
            format!("--authorization-webhook-config-file={authorization}"),
            "--authorization-webhook-version=v1".to_owned(),
            format!("--authorization-webhook-cache-authorized-ttl={NOT_CACHED}"),
            format!("--authorization-webhook-cache-unauthorized-ttl={NOT_CACHED}"),
        ]),
    }
    flags
}

/// What has to go and what has to be there for an API server to start with these flags, in words. Beside an
/// AuthorizationConfiguration it takes neither a mode nor a webhook's flags, and no mode twice (Kubernetes,
/// `pkg/kubeapiserver/options/authorization.go`).
pub fn start_notes(flags: &[String]) -> Vec<String> {
    let has = |name: &str| flags.iter().any(|flag| flag.starts_with(name));
    let replaced = if has("--authorization-config=") {
        Some(
            "--authorization-config takes the place of --authorization-mode and of every --authorization-webhook-… flag",
        )
    } else if has("--authorization-mode=") {
        Some("this --authorization-mode takes the place of the one that is there")
    } else {
        None
    };
    let replaced = replaced.map(|rule| {
        format!(
            "replaced: {rule}; an API server that is given both does not start, so take those out that it has. kubeadm's manifest has \
             --authorization-mode=Node,RBAC."
        )
    });
    let mounted = "static pod: an API server that is one (kubeadm, EKS Anywhere, kops) sees no folder that its manifest does not mount, \
                   and without these files it does not start: mount the folder that the flags name as a hostPath volume, read-only (by \
                   kubeadm's configuration: `extraVolumes`).";
    replaced.into_iter().chain([mounted.to_owned()]).collect()
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

/// What kubeadm calls the issuer of a cluster, unless told otherwise.
const KUBEADM_ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Which audiences the API server has to have with these files, in words: each TokenReview asks for all of them.
pub fn audience_note(cluster: &Cluster) -> String {
    let own = cluster.audiences.join(",");
    format!(
        "audiences: the API server asks about tokens for its --api-audiences, which without that flag are its \
         --service-account-issuer alone. One of them has to be the cluster's ({own}), or every login is refused as `audience`. With \
         kubeadm's issuer: --api-audiences={KUBEADM_ISSUER},{own} (its own stays, for the tokens of ServiceAccounts). Or give the \
         cluster the API server's: `lanyard cluster update {} --audience AUDIENCE`, with each that it is to have.",
        cluster.id
    )
}

/// What revocation means with these files, in words.
pub fn revocation_note(cluster: &Cluster, way: Way) -> String {
    let mut note = String::new();
    // Writing to a String does not fail.
    let _ = write!(
        note,
        "revocation: every request that bears Lanyard's proof is asked about anew, so a revoked entry, a lost group or a \
         block counts with the next request, although the API server keeps the token for up to {} s. So does an access \
         policy that was associated. Groups and usernames come with the token: one that was added or changed counts after \
         the next token review. `system:masters` passes every webhook: do not map anyone to it. Only an API server that \
         cannot reach this hub at all goes by its own RBAC with the groups it has cached.",
        cluster.token_cache_seconds
    );
    if way == Way::Flags {
        note.push_str(
            " This release cannot be told which requests to ask about: every request of everybody goes to the hub first, those of \
             the control plane too, and while the hub cannot be reached each waits some seconds until RBAC decides it, also \
             those that would impersonate the proof. Kubernetes 1.29 is the first that asks about proofs alone.",
        );
    }
    note
}

fn yaml(value: &serde_json::Value) -> String {
    // JSON is YAML: where the writer fails, the plain form still says the same.
    serde_saphyr::to_string(value).unwrap_or_else(|_| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(version: &str) -> Way {
        version.parse::<KubernetesVersion>().unwrap().way()
    }

    fn configuration(version: &str) -> serde_json::Value {
        let Way::File(structured) = way(version) else { panic!("{version} has none") };
        let text = authorization_configuration("/etc/lanyard/authorization.kubeconfig", structured);
        serde_saphyr::from_str(&text).unwrap()
    }

    fn cluster() -> Cluster {
        serde_json::from_value(json!({
            "uid": "00000000-0000-4000-8000-000000000001", "id": "dev", "name": "dev", "partition": "aws",
            "account": "111122223333", "region": "eu-central-1", "endpoint": null, "certificate_authority": null,
            "authentication_mode": "API", "authorizer_mode": "webhook-first", "trusted_accounts": [],
            "audiences": [], "token_cache_seconds": 10, "created_by": "test", "tags": {},
            "created_at": "2026-11-24T12:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn older_releases_get_no_member_that_they_do_not_know_and_cache_nothing_either() {
        for (version, api_version) in [
            ("1.33", "apiserver.config.k8s.io/v1"),
            ("1.31", "apiserver.config.k8s.io/v1beta1"),
            ("1.29", "apiserver.config.k8s.io/v1alpha1"),
        ] {
            let value = configuration(version);
            assert_eq!(value["apiVersion"], api_version);
            for webhook in &value["authorizers"].as_array().unwrap()[..2] {
                let webhook = webhook["webhook"].as_object().unwrap();
                assert!(!webhook.contains_key("cacheAuthorizedRequests"), "{version}");
                assert!(!webhook.contains_key("cacheUnauthorizedRequests"), "{version}");
                assert_eq!(
                    (&webhook["authorizedTTL"], &webhook["unauthorizedTTL"]),
                    (&json!("1ns"), &json!("1ns"))
                );
            }
        }
        let switched = configuration("1.34");
        assert!(switched["authorizers"][0]["webhook"].get("authorizedTTL").is_none());
    }

    #[test]
    fn the_flags_and_the_note_are_those_of_the_release() {
        let flags = |version: &str| api_server_flags(&cluster(), "tokens", "authorizer", way(version));
        assert_eq!(flags("1.35").last().unwrap(), "--authorization-config=authorizer");
        assert_eq!(
            flags("1.29")[3..],
            [
                "--authorization-config=authorizer",
                "--feature-gates=StructuredAuthorizationConfiguration=true"
            ]
        );
        assert_eq!(
            flags("1.28")[3..],
            [
                "--authorization-mode=Webhook,Node,RBAC",
                "--authorization-webhook-config-file=authorizer",
                "--authorization-webhook-version=v1",
                "--authorization-webhook-cache-authorized-ttl=1ns",
                "--authorization-webhook-cache-unauthorized-ttl=1ns",
            ]
        );
        let note = |version: &str| revocation_note(&cluster(), way(version));
        assert!(note("1.30").contains("counts with the next request") && note("1.30").contains("up to 10 s"));
        assert!(note("1.30").contains("So does an access policy that was associated."));
        assert!(note("1.30").contains(
            "Groups and usernames come with the token: one that was added or changed counts after the next"
        ));
        assert_eq!(note("1.30"), note("1.35"));
        assert!(note("1.28").contains("every request of everybody goes to the hub first"));
        let own = vec!["https://a.example".to_owned(), "b".to_owned()];
        let audiences = audience_note(&Cluster { audiences: own, ..cluster() });
        assert!(
            audiences.contains(
                "--api-audiences=https://kubernetes.default.svc.cluster.local,https://a.example,b "
            ),
            "{audiences}"
        );
        assert!(audiences.contains("`lanyard cluster update dev --audience"), "{audiences}");
    }

    #[test]
    fn what_keeps_an_api_server_from_starting_is_said_of_the_flags_that_do_it() {
        let notes = |version: &str| {
            start_notes(&api_server_flags(
                &cluster(),
                "/etc/lanyard/tokens",
                "/etc/lanyard/authorizer",
                way(version),
            ))
        };
        for version in ["1.35", "1.29"] {
            let told = notes(version);
            let [replaced, mounted] = &told[..] else { panic!("{told:?}") };
            assert!(
                replaced.contains("the place of --authorization-mode and of every --authorization-webhook-…")
            );
            assert!(replaced.contains("--authorization-mode=Node,RBAC"), "{replaced}");
            assert!(mounted.contains("hostPath volume, read-only"), "{mounted}");
        }
        let told = notes("1.28");
        let [replaced, _] = &told[..] else { panic!("{told:?}") };
        assert!(replaced.contains("this --authorization-mode takes the place of the one"), "{replaced}");
        let admission = start_notes(&[admission_flag("/etc/lanyard/admission-config.yaml")]);
        assert!(admission.len() == 1 && admission[0].starts_with("static pod:"), "{admission:?}");
        let all = [notes("1.35"), notes("1.28"), admission].concat();
        assert!(all.iter().all(|note| !note.contains('\n')), "each is one line: {all:?}");
    }

    #[test]
    fn the_authorizer_is_asked_about_proofs_and_impersonated_extras_and_nothing_is_cached() {
        let value = configuration("1.35");
        let authorizers = value["authorizers"].as_array().unwrap();
        let names: Vec<&str> = authorizers.iter().map(|a| a["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["lanyard-impersonation", "lanyard", "node", "rbac"]);
        for webhook in &authorizers[..2] {
            assert_eq!(webhook["webhook"]["timeout"], "3s");
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
