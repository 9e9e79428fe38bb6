use super::*;

#[test]
fn a_name_has_iams_characters_and_length() {
    let longest = "a".repeat(64);
    for good in ["a", "Ana.B-c_d+e=f,g@h", "0", &longest] {
        assert_eq!(name("name", good), Ok(()), "{good}");
    }
    let long = "a".repeat(65);
    for bad in ["", "a b", "a/b", "ä", "a:b", "a\0", "a*", &long] {
        assert!(name("name", bad).is_err(), "{bad:?}");
    }
    let longest = "a".repeat(128);
    assert_eq!(policy_name(&longest), Ok(()));
    assert!(policy_name(&format!("{longest}a")).is_err());
}

#[test]
fn a_path_begins_and_ends_with_a_slash() {
    for (text, expected) in [("", "/"), ("/", "/"), ("/team/", "/team/"), ("/a/b/", "/a/b/")] {
        assert_eq!(path(text).unwrap(), expected, "{text}");
    }
    let long = format!("/{}/", "a".repeat(511));
    for bad in ["a", "/a", "a/", "//", "/a//b/", "/a b/", "/ä/", &long] {
        assert!(path(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_aws_keeps_for_roles_of_its_own_is_no_accounts() {
    for (path, name) in [("/", "dev"), ("/aws/", "AWSRole"), ("/team/aws-reserved/", "aws-service-role")] {
        assert_eq!(own_role(path, name), Ok(()), "{path}{name}");
    }
    let reserved = [
        ("/aws-service-role/eks.amazonaws.com/", "x"),
        ("/aws-reserved/", "x"),
        ("/aws-reserved/sso.amazonaws.com/eu-west-1/", "AWSReservedSSO_Dev_0123456789abcdef"),
        ("/", "AWSReservedSSO_Dev_0123456789abcdef"),
        ("/", "AWSServiceRoleForAmazonEKS"),
    ];
    for (path, name) in reserved {
        assert!(own_role(path, name).is_err(), "{path}{name}");
    }
}

#[test]
fn tags_follow_iams_rules() {
    let check = |pairs: &[(&str, &str)]| {
        let map = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        tags(&map, 3)
    };
    let (long_key, long_value) = ("k".repeat(129), "v".repeat(257));
    assert_eq!(check(&[("Team", "äpfel + birnen"), ("cost:center", "")]), Ok(()));
    assert_eq!(check(&[("チーム", "東京\u{3000}本社"), ("a\u{a0}b", "")]), Ok(()), "blanks of any script");
    let refused: [&[(&str, &str)]; 8] = [
        &[("", "v")],
        &[("k*", "v")],
        &[("k", "v!")],
        &[("aws:x", "v")],
        &[("AWS:x", "v")],
        &[("Team", "a"), ("team", "b")],
        &[(&long_key, "v")],
        &[("k", &long_value)],
    ];
    for pairs in refused {
        assert!(check(pairs).is_err(), "{pairs:?}");
    }
    assert!(matches!(
        check(&[("a", ""), ("b", ""), ("c", ""), ("d", "")]),
        Err(CallError::LimitExceeded { .. })
    ));
}

#[test]
fn immunity_11_an_issuer_is_trusted_without_a_subject_only_by_force() {
    let open = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRoleWithWebIdentity",
        "Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/gitlab.com"}}]}"#;
    let refused = trust_policy(open, false).unwrap_err();
    assert!(matches!(&refused, CallError::Invalid { rule: "any_subject", .. }), "{refused:?}");
    assert!(refused.to_string().contains("`gitlab.com:sub`"), "{refused}");
    assert!(trust_policy(open, true).unwrap().unwrap().contains("statement 1"));
}

#[test]
fn a_description_is_of_latin_1() {
    for good in ["", "Deploys\n\tthe café", &"x".repeat(1_000)] {
        assert_eq!(description(good), Ok(()), "{good}");
    }
    for bad in ["\u{7f}", "\u{0}", "\u{4e2d}", &"x".repeat(1_001)] {
        assert!(description(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_tag_put_on_takes_the_place_of_its_key_whatever_the_letter_case() {
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let mut tags = map(&[("Team", "a"), ("cost", "1")]);
    TagChange::Put(map(&[("team", "b")])).apply(&mut tags, 3).unwrap();
    assert_eq!(tags, map(&[("team", "b"), ("cost", "1")]));
    assert!(TagChange::Put(map(&[("x", ""), ("y", "")])).apply(&mut tags.clone(), 3).is_err());
    TagChange::Remove(vec!["COST".to_owned(), "none".to_owned()]).apply(&mut tags, 3).unwrap();
    assert_eq!(tags, map(&[("team", "b")]));
    assert!(TagChange::Put(BTreeMap::new()).judge(3).is_err());
    assert!(TagChange::Put(map(&[("aws:x", "")])).judge(3).is_err());
    assert!(TagChange::Remove(vec![String::new(); 4]).judge(3).is_err());
}

#[test]
fn a_roles_sessions_last_one_to_twelve_hours_at_most() {
    for (seconds, expected) in
        [(0, Some(3_600)), (3_600, Some(3_600)), (43_200, Some(43_200)), (3_599, None), (43_201, None)]
    {
        assert_eq!(session_seconds_max(seconds).ok(), expected, "{seconds}");
    }
}

#[test]
fn a_refusal_shows_little_of_its_input_and_no_control_characters() {
    let error = name("name", &format!("\u{1b}[31m{}", "x".repeat(10_000))).unwrap_err().to_string();
    assert!(error.len() < 300 && !error.contains('\u{1b}'), "{error}");
}

#[test]
fn documents_are_judged_when_written() {
    let allow =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"eks:*","Resource":"*"}]}"#;
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"111122223333"}}]}"#;
    assert_eq!((document(allow), trust_policy(trust, false)), (Ok(()), Ok(None)));
    assert!(document(trust).is_err() && trust_policy(allow, true).is_err(), "each in the other's place");
    for bad in [
        "",
        "{}",
        "null",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"allow","Action":"*","Resource":"*"}]}"#,
    ] {
        assert!(document(bad).is_err(), "{bad}");
        assert!(trust_policy(bad, true).is_err(), "{bad}");
    }
    assert_eq!(policy_chars("{ \"a\":\n\t1 }"), 7);
    assert_eq!(trust_policy_fits("{ \"a\":\n\t1 }", 7), Ok(()));
    let too_long = trust_policy_fits("{ \"a\":\n\t1 }", 6).unwrap_err();
    assert_eq!(too_long.to_string(), "the limit for characters of the trust policy of one role is 6");
}
