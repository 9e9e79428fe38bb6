use proptest::prelude::*;

use super::*;

const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nhush-hush\n-----END PRIVATE KEY-----\n";

/// A kubeconfig with two contexts, of which the second would run a command.
fn kubeconfig(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\npreferences: {{}}\ncontexts:\n- name: a\n  context: {{cluster: c, user: \
         u, namespace: x}}\n- name: b\n  context: {{cluster: c, user: other}}\nclusters:\n- name: c\n  cluster:\n    {cluster}\n\
         users:\n- name: u\n  user:\n    {user}\n- name: other\n  user:\n    exec: {{command: /bin/false}}\n"
    )
}

fn good_cluster() -> String {
    format!("server: https://10.0.0.1:6443\n    certificate-authority-data: {}", STANDARD.encode(PEM))
}

fn client_certificate() -> String {
    format!(
        "client-certificate-data: {}\n    client-key-data: {}",
        STANDARD.encode(PEM),
        STANDARD.encode(KEY)
    )
}

#[test]
fn what_is_written_out_is_kept() {
    let kept = Kubeconfig::reduce(&kubeconfig(&good_cluster(), "token: hush-hush"), None).unwrap();
    assert_eq!(kept.server.as_str(), "https://10.0.0.1:6443/");
    assert_eq!(kept.certificate_authority.as_deref(), Some(PEM));
    assert_eq!(kept.credential, KubeCredential::Token("hush-hush".into()));
    let kept = Kubeconfig::reduce(&kubeconfig(&good_cluster(), &client_certificate()), Some("a")).unwrap();
    let expected = KubeCredential::ClientCertificate { chain_pem: PEM.to_owned(), key_pem: KEY.into() };
    assert_eq!(kept.credential, expected);
    // What says nothing of how to get there is let be.
    let more =
        format!("{}\n    disable-compression: true\n    insecure-skip-tls-verify: false", good_cluster());
    let kept = Kubeconfig::reduce(&kubeconfig(&more, "token: hush-hush"), None).unwrap();
    assert_eq!(kept.credential.kind(), "token");
    let bare = Kubeconfig::reduce(&kubeconfig("server: https://k8s.example", "token: t"), None).unwrap();
    assert_eq!(bare.certificate_authority, None);
}

#[test]
fn immunity_34_whatever_makes_a_client_run_read_or_trust_something_is_refused_by_name() {
    let cluster = [
        ("insecure-skip-tls-verify: true", "insecure-skip-tls-verify"),
        ("proxy-url: http://127.0.0.1:1", "proxy-url"),
        ("tls-server-name: other.example", "tls-server-name"),
        ("certificate-authority: /etc/passwd", "certificate-authority"),
        ("surprise: 1", "surprise"),
    ];
    for (line, name) in cluster {
        let text = kubeconfig(&format!("{}\n    {line}", good_cluster()), "token: t");
        let refused = Kubeconfig::reduce(&text, None).unwrap_err();
        let place = format!("clusters[c].cluster.{name}");
        assert!(
            matches!(&refused, KubeconfigError::Refused { place: at, .. } if *at == place),
            "{line}: {refused}"
        );
    }
    let user = [
        ("exec: {command: /usr/bin/touch, args: [/tmp/pwned]}", "exec"),
        ("exec: {}", "exec"),
        ("auth-provider: {name: gcp}", "auth-provider"),
        ("tokenFile: /etc/shadow", "tokenFile"),
        ("client-certificate: /etc/x.crt", "client-certificate"),
        ("client-key: /etc/x.key", "client-key"),
        ("username: ana", "username"),
        ("password: hush-hush", "password"),
        ("as: system:admin", "as"),
        ("as-uid: x", "as-uid"),
        ("as-groups: [system:masters]", "as-groups"),
        ("as-user-extra: {a: [b]}", "as-user-extra"),
        ("surprise: 1", "surprise"),
    ];
    for (line, name) in user {
        // A good credential beside it does not make it good.
        let refused =
            Kubeconfig::reduce(&kubeconfig(&good_cluster(), &format!("token: t\n    {line}")), None);
        let refused = refused.unwrap_err();
        let place = format!("users[u].user.{name}");
        assert!(
            matches!(&refused, KubeconfigError::Refused { place: at, .. } if *at == place),
            "{line}: {refused}"
        );
        assert!(!refused.to_string().contains("hush"), "{refused}");
    }
    // The context that is asked for is the one that is judged.
    let other = Kubeconfig::reduce(&kubeconfig(&good_cluster(), "token: t"), Some("b")).unwrap_err();
    assert!(other.to_string().starts_with("`users[other].user.exec` is refused"), "{other}");
}

#[test]
fn what_lacks_a_part_or_breaks_its_rule_is_named() {
    let of_cluster = |cluster: &str| Kubeconfig::reduce(&kubeconfig(cluster, "token: t"), None);
    let of_user = |user: &str| Kubeconfig::reduce(&kubeconfig(&good_cluster(), user), None);
    let half = |member: &str| format!("{member}: {}", STANDARD.encode(PEM));
    let long = "x".repeat(TOKEN_BYTES_MAX + 1);
    let cases = [
        (of_cluster("server: http://10.0.0.1"), "`clusters[c].cluster.server` is refused"),
        (of_cluster("server: https://a:b@10.0.0.1"), "`clusters[c].cluster.server`: write https"),
        (of_cluster("server: https://10.0.0.1?x=1"), "`clusters[c].cluster.server`: write https"),
        (of_cluster("server: 7"), "`clusters[c].cluster.server`: it has to be a text"),
        (of_cluster("server: ''"), "`clusters[c].cluster.server` is missing"),
        (of_cluster("server: https://h\n    certificate-authority-data: '%'"), "it has to be base64"),
        (of_cluster("server: https://h\n    certificate-authority-data: QUFB"), "it has to be PEM"),
        (of_user("{}"), "`users[u].user` is missing"),
        (of_user("token: ''"), "`users[u].user` is missing"),
        (of_user("token: 'a b'"), "visible ASCII"),
        (of_user(&format!("token: {long}")), "at most 16384"),
        (of_user(&half("client-certificate-data")), "`users[u].user.client-key-data` is missing"),
        (of_user(&half("client-key-data")), "`users[u].user.client-certificate-data` is missing"),
        (of_user(&format!("token: t\n    {}", client_certificate())), "leave one of them out"),
        (
            Kubeconfig::reduce(&kubeconfig("server: x", "token: t"), Some("none")),
            "`contexts[none]` is missing",
        ),
        (Kubeconfig::reduce("", None), "it is not a mapping"),
        (Kubeconfig::reduce("a: [", None), "it cannot be read as YAML, line"),
        (Kubeconfig::reduce("{}", None), "`current-context` is missing"),
        (Kubeconfig::reduce("kind: Pod", None), "its kind is not `Config`"),
        (Kubeconfig::reduce("current-context: a\ncontexts: 1", None), "`contexts`: it has to be a list"),
        (Kubeconfig::reduce(&" ".repeat(KUBECONFIG_BYTES_MAX + 1), None), "more than 524288 bytes"),
        (
            Kubeconfig::reduce("current-context: a\ncontexts: [{name: a}, {name: a}]", None),
            "two items have this name",
        ),
    ];
    for (refused, words) in cases {
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(words), "{refused} has not: {words}");
    }
}

#[test]
fn immunity_27_a_kubeconfig_prints_no_secret() {
    for user in ["token: hush-hush", &client_certificate()] {
        let kept = Kubeconfig::reduce(&kubeconfig(&good_cluster(), user), None).unwrap();
        assert!(!format!("{kept:?} {:?}", kept.to_document()).contains("hush"));
    }
}

proptest! {
    #[test]
    fn what_is_kept_reads_back_as_the_same(
        host in "[a-z]{1,9}(\\.[a-z]{1,9}){0,2}", port in 1_u16.., token in "[!-~]{1,60}", with_authority: bool,
        by_certificate: bool,
    ) {
        let credential = if by_certificate {
            KubeCredential::ClientCertificate { chain_pem: PEM.to_owned(), key_pem: KEY.into() }
        } else {
            KubeCredential::Token(token.into())
        };
        let kept = Kubeconfig {
            server: format!("https://{host}:{port}").parse().unwrap(),
            certificate_authority: with_authority.then(|| PEM.to_owned()),
            credential,
        };
        prop_assert_eq!(Kubeconfig::reduce(kept.to_document().expose_secret(), None).unwrap(), kept);
    }

    #[test]
    fn any_text_is_reduced_or_refused_in_one_line(text in ".{0,200}", context in prop::option::of(".{0,20}")) {
        if let Err(refused) = Kubeconfig::reduce(&text, context.as_deref()) {
            let said = refused.to_string();
            prop_assert!(!said.contains(char::is_control) && said.len() < 1_000, "{}", said);
        }
    }

    #[test]
    fn any_member_beside_the_known_ones_is_refused(name in "[a-zA-Z][a-zA-Z-]{0,20}") {
        let known = ["token", "extensions", "client-certificate-data", "client-key-data"];
        prop_assume!(!known.contains(&name.as_str()));
        let text = kubeconfig(&good_cluster(), &format!("token: t\n    \"{name}\": x"));
        let refused = Kubeconfig::reduce(&text, None).unwrap_err();
        let is_refused = matches!(refused, KubeconfigError::Refused { .. });
        prop_assert!(is_refused, "{}", refused);
    }
}
