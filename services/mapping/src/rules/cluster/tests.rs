use lanyard_api::{Authority, mapping::AUDIENCE_DEFAULT};

use super::*;

fn rule<T>(result: Result<T, Broken>) -> Option<Rule> {
    result.err().map(|broken| broken.rule)
}

#[test]
fn a_name_follows_ekss_rule_and_an_id_may_have_dots_too() {
    for good in ["a", "dev-1", "0_x", &"a".repeat(100)] {
        assert_eq!((rule(name(good)), rule(id(good))), (None, None), "{good}");
    }
    // As aws-iam-authenticator's users and kops have them.
    for dotted in ["a.b", "my-dev-cluster.example.com"] {
        let refused = name(dotted).unwrap_err();
        assert_eq!((refused.rule, rule(id(dotted))), (Rule::ClusterName, None), "{dotted}");
        assert!(refused.message.ends_with("it can be the cluster's id, beside a name without dots"));
    }
    for bad in ["", "-a", ".a", "a.", "..", "a/b", "ä", &"a".repeat(101)] {
        assert_eq!(
            (rule(name(bad)), rule(id(bad))),
            (Some(Rule::ClusterName), Some(Rule::ClusterIdInvalid)),
            "{bad}"
        );
    }
}

#[test]
fn a_region_is_of_the_accounts_partition_or_the_sites_own() {
    let cases = [
        ("us-west-2", Partition::Aws, None),
        ("home", Partition::Aws, None),
        ("cn-north-1", Partition::AwsCn, None),
        ("cn-north-1", Partition::Aws, Some(Rule::Region)),
        ("us-gov-west-1", Partition::Aws, Some(Rule::Region)),
        ("", Partition::Aws, Some(Rule::Region)),
        ("US-WEST-2", Partition::Aws, Some(Rule::Region)),
        ("a:b", Partition::Aws, Some(Rule::Region)),
    ];
    for (text, partition, broken) in cases {
        assert_eq!(rule(region(text, partition)), broken, "{text} {partition}");
    }
}

#[test]
fn the_tag_that_says_where_the_agent_is_says_one_of_two() {
    for (key, value, broken) in [
        (AGENT_ADDRESS_TAG, "ipv4", None),
        (AGENT_ADDRESS_TAG, "ipv6", None),
        (AGENT_ADDRESS_TAG, "IPv6", Some(Rule::Tags)),
        (AGENT_ADDRESS_TAG, "", Some(Rule::Tags)),
        (AGENT_ADDRESS_TAG, "fd00:ec2::23", Some(Rule::Tags)),
        ("agent-address", "home", None),
        ("aws:x", "ipv4", Some(Rule::Tags)),
    ] {
        let one = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        assert_eq!(rule(tags(&one)), broken, "{key}={value}");
    }
}

#[test]
fn an_endpoint_is_a_https_host() {
    for good in
        ["https://10.0.0.1:6443", "https://api.example.com", "https://api.example.com/", "https://[::1]:6443"]
    {
        assert_eq!(rule(endpoint(good)), None, "{good}");
    }
    for bad in
        ["", "http://a", "https://", "https://user:pass@a", "https://a/path", "https://a?b", "ftp://a", "a"]
    {
        assert_eq!(rule(endpoint(bad)), Some(Rule::Endpoint), "{bad}");
    }
}

#[test]
fn a_ca_is_certificates_and_no_key() {
    let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    assert_eq!(rule(certificate_authority(pem)), None);
    let key = format!("{pem}-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n{pem}");
    for bad in ["", "MIIB", &key, &format!("{pem}{}", " ".repeat(PEM_BYTES_MAX))] {
        assert_eq!(rule(certificate_authority(bad)), Some(Rule::CertificateAuthority), "{bad}");
    }
}

#[test]
fn audiences_are_some_names_each_once() {
    let of = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<String>>();
    let cases = [
        (of(&[AUDIENCE_DEFAULT]), None),
        (of(&["a", "b"]), None),
        (of(&[]), Some(Rule::Audiences)),
        (of(&[""]), Some(Rule::Audiences)),
        (of(&["a b"]), Some(Rule::Audiences)),
        (of(&["a", "a"]), Some(Rule::Audiences)),
        ((0..17).map(|n| n.to_string()).collect(), Some(Rule::Audiences)),
    ];
    for (asked, broken) in cases {
        assert_eq!(rule(audiences(&asked)), broken, "{asked:?}");
    }
}

#[test]
fn answers_are_cached_for_an_hour_at_most() {
    assert_eq!(rule(token_cache_seconds(0)), None);
    assert_eq!(rule(token_cache_seconds(TOKEN_CACHE_SECONDS_MAX)), None);
    assert_eq!(rule(token_cache_seconds(TOKEN_CACHE_SECONDS_MAX + 1)), Some(Rule::TokenCacheSeconds));
}

#[test]
fn a_cluster_trusts_its_own_account_and_each_account_under_one_authority() {
    let pair =
        |authority: Authority, account: &str| TrustedAccount { authority, account: account.parse().unwrap() };
    let own = pair(Authority::Local, "111122223333");
    let other = pair(Authority::Aws, "444455556666");
    let cases = [
        (vec![own.clone()], None),
        (vec![own.clone(), other.clone()], None),
        (vec![other.clone()], Some(Rule::TrustedAccounts)),
        (vec![pair(Authority::Aws, "111122223333")], Some(Rule::TrustedAccounts)),
        (vec![own.clone(), pair(Authority::Aws, "111122223333")], Some(Rule::TrustedAccounts)),
        (vec![own.clone(), own.clone()], Some(Rule::TrustedAccounts)),
        (vec![own.clone(), other.clone(), pair(Authority::Aws, "777788889999")], Some(Rule::TrustedAccounts)),
    ];
    for (pairs, broken) in cases {
        assert_eq!(rule(trusted_accounts(&pairs, &own, 2)), broken, "{pairs:?}");
    }
}

#[test]
fn modes_go_one_way_step_by_step() {
    use AuthenticationMode::{Api, ApiAndConfigMap, ConfigMap};
    for from in [ConfigMap, ApiAndConfigMap, Api] {
        for to in [ConfigMap, ApiAndConfigMap, Api] {
            let allowed = matches!((from, to), (ConfigMap, ApiAndConfigMap) | (ApiAndConfigMap, Api));
            let broken = (!allowed).then_some(Rule::ModeTransition);
            assert_eq!(rule(transition(from, to)), broken, "{from:?} {to:?}");
        }
    }
    assert_eq!(rule(bootstrap(ConfigMap, false)), Some(Rule::BootstrapRequired));
    assert_eq!(rule(bootstrap(ConfigMap, true)), None);
    assert_eq!(rule(bootstrap(Api, false)), None);
}

#[test]
fn a_node_is_a_session_name_and_a_dns_name() {
    let cases = [
        ("i-0123456789abcdef0", "ip-10-0-0-1.ec2.internal", None),
        ("edge-7", "edge-7", None),
        ("i", "a", Some(Rule::NodeInstance)),
        ("a/b", "a", Some(Rule::NodeInstance)),
        ("ab", "Upper", Some(Rule::NodeName)),
        ("ab", "", Some(Rule::NodeName)),
        ("ab", "a:b", Some(Rule::NodeName)),
        ("ab", "a..b", Some(Rule::NodeName)),
    ];
    for (instance, dns, broken) in cases {
        assert_eq!(rule(node(instance, dns)), broken, "{instance} {dns}");
    }
    assert_eq!(
        node_role("arn:aws:iam::111122223333:role/p/node").unwrap().to_string(),
        "arn:aws:iam::111122223333:role/node"
    );
    for bad in ["", "arn:aws:iam::111122223333:user/x", "arn:aws:sts::111122223333:assumed-role/x/y"] {
        assert_eq!(rule(node_role(bad)), Some(Rule::NodeRole), "{bad}");
    }
}

#[test]
fn an_instance_is_known_by_the_form_of_its_id() {
    for (text, is) in [
        ("i-01234567", true),
        ("i-0123456789abcdef0", true),
        ("i-0123456", false),
        ("i-012345678", false),
        ("i-0123456789abcdef0a", false),
        ("j-01234567", false),
        ("i-0123456é", false),
        ("ana", false),
    ] {
        assert_eq!(is_instance_id(text), is, "{text}");
    }
}

#[test]
fn a_block_says_why_and_blocks_what_can_be_met() {
    let session = |arn: &str, name: &str| BlockTarget::Session {
        authority: Authority::Aws,
        canonical_arn: arn.parse().unwrap(),
        session_name: name.to_owned(),
    };
    let account =
        BlockTarget::Account { authority: Authority::Aws, account: "111122223333".parse().unwrap() };
    let role = "arn:aws:iam::111122223333:role/dev";
    let cases = [
        ("left the company", account.clone(), None),
        ("", account.clone(), Some(Rule::BlockReason)),
        (" ", account.clone(), Some(Rule::BlockReason)),
        ("a\nb", account.clone(), Some(Rule::BlockReason)),
        ("stolen", session(role, "ana"), None),
        ("stolen", session(role, "a/b"), Some(Rule::BlockSession)),
        ("stolen", session("arn:aws:iam::111122223333:user/ana", "ana"), Some(Rule::BlockSession)),
    ];
    for (reason, target, broken) in cases {
        assert_eq!(rule(block(reason, &target)), broken, "{reason} {target:?}");
    }
    assert_eq!(rule(block(&"x".repeat(1_025), &account)), Some(Rule::BlockReason));
}
