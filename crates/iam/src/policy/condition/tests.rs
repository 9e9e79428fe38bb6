use super::*;

fn keys() -> ConditionKeys {
    let mut keys = ConditionKeys::new();
    keys.set("aws:username", "ana")
        .set("aws:SecureTransport", "true")
        .set("aws:SourceIp", "203.0.113.7")
        .set("aws:CurrentTime", "2026-03-01T12:00:00Z")
        .set("aws:PrincipalArn", "arn:aws:iam::111122223333:role/team/Admin")
        .set("eks:count", "7.5")
        .set("lanyard:bytes", "\u{1}key")
        .set_all("aws:TagKeys", ["team".into(), "stage".into()]);
    keys
}

fn holds(operator: &str, key: &str, values: &[&str], effect: Effect) -> bool {
    Condition::parse(operator, key, values, true).unwrap().holds(&keys(), effect)
}

#[test]
fn each_operator_compares_as_its_name_says() {
    let cases: &[(&str, &str, &[&str], bool)] = &[
        ("StringEquals", "aws:username", &["bob", "ana"], true),
        ("StringEquals", "AWS:UserName", &["ana"], true),
        ("StringEquals", "aws:username", &["Ana"], false),
        ("StringEquals", "aws:username", &["a*"], false),
        ("StringNotEquals", "aws:username", &["bob"], true),
        ("StringNotEquals", "aws:username", &["bob", "ana"], false),
        ("StringEqualsIgnoreCase", "aws:username", &["ANA"], true),
        ("StringNotEqualsIgnoreCase", "aws:username", &["ANA"], false),
        ("StringLike", "aws:username", &["a*"], true),
        ("StringLike", "aws:username", &["a?"], false),
        ("StringNotLike", "aws:username", &["b*"], true),
        ("ArnLike", "aws:PrincipalArn", &["arn:aws:iam::*:role/*"], true),
        ("ArnEquals", "aws:PrincipalArn", &["arn:aws:iam::*:role/*/Admin"], true),
        ("ArnLike", "aws:PrincipalArn", &["arn:aws:*:role/team/Admin:x:y"], false),
        ("ArnNotLike", "aws:PrincipalArn", &["arn:aws:iam::44*:*"], true),
        ("ArnLike", "aws:username", &["arn:*:*:*:*:*"], false),
        ("Bool", "aws:SecureTransport", &["true"], true),
        ("Bool", "aws:SecureTransport", &["FALSE"], false),
        ("Bool", "aws:username", &["true"], false),
        ("IpAddress", "aws:SourceIp", &["203.0.113.0/24"], true),
        ("IpAddress", "aws:SourceIp", &["203.0.113.7"], true),
        ("IpAddress", "aws:SourceIp", &["203.0.113.8", "10.0.0.0/8", "::/0"], false),
        ("IpAddress", "aws:SourceIp", &["0.0.0.0/0"], true),
        ("NotIpAddress", "aws:SourceIp", &["10.0.0.0/8"], true),
        ("NotIpAddress", "aws:SourceIp", &["203.0.113.0/29"], false),
        ("DateLessThan", "aws:CurrentTime", &["2026-03-02"], true),
        ("DateLessThan", "aws:CurrentTime", &["2026-03-01T13:00:00+01:00"], false),
        ("DateLessThanEquals", "aws:CurrentTime", &["2026-03-01T13:00:00+01:00"], true),
        ("DateGreaterThan", "aws:CurrentTime", &["0"], true),
        ("DateGreaterThan", "aws:CurrentTime", &["2026-03"], true),
        ("DateLessThan", "aws:CurrentTime", &["2026-03-01T12:01Z"], true),
        ("DateGreaterThan", "aws:CurrentTime", &["2026-03-01T13:00+01:00"], false),
        ("DateEquals", "aws:CurrentTime", &["2026-03-01T12:00:00.0Z"], true),
        ("DateGreaterThanEquals", "aws:CurrentTime", &["2026-03-01T12:00:01Z"], false),
        ("DateEquals", "aws:CurrentTime", &["1772366400"], true),
        ("DateNotEquals", "aws:CurrentTime", &["1772366400"], false),
        ("NumericEquals", "eks:count", &["7.50"], true),
        ("NumericNotEquals", "eks:count", &["7"], true),
        ("NumericLessThan", "eks:count", &["-8", "8"], true),
        ("NumericGreaterThanEquals", "eks:count", &["7.5"], true),
        ("NumericGreaterThan", "eks:count", &["7.5"], false),
        ("NumericEquals", "aws:username", &["7"], false),
        ("BinaryEquals", "lanyard:bytes", &["AWtleQ=="], true),
        ("BinaryEquals", "lanyard:bytes", &["a2V5", "AWtleQ=="], true),
        ("BinaryEquals", "lanyard:bytes", &["a2V5"], false),
        ("BinaryEquals", "aws:username", &["YW5h"], true),
        ("Null", "aws:username", &["false"], true),
        ("Null", "aws:username", &["true"], false),
        ("Null", "aws:nothing", &["true"], true),
        ("Null", "aws:nothing", &["true", "false"], true),
    ];
    for (operator, key, values, expected) in cases {
        for effect in [Effect::Allow, Effect::Deny] {
            assert_eq!(
                holds(operator, key, values, effect),
                *expected,
                "{effect:?} {operator} {key} {values:?}"
            );
        }
    }
}

#[test]
fn an_absent_key_fails_what_is_asked_of_it_unless_negated_or_optional() {
    let cases = [
        ("StringEquals", false),
        ("StringNotEquals", true),
        ("StringEqualsIfExists", true),
        ("StringNotEqualsIfExists", true),
        ("ForAnyValue:StringEquals", false),
        ("ForAnyValue:StringNotEquals", false),
        ("ForAnyValue:StringEqualsIfExists", true),
        ("ForAllValues:StringEquals", true),
        ("Bool", false),
        ("BinaryEquals", false),
        ("BinaryEqualsIfExists", true),
        ("ForAllValues:BinaryEquals", true),
        ("Null", true),
        ("NotIpAddress", true),
        ("IpAddress", false),
    ];
    for (operator, expected) in cases {
        let value = match operator {
            "Bool" | "Null" => "true",
            _ if operator.contains("Binary") => "eA==",
            "IpAddress" | "NotIpAddress" => "10.0.0.1",
            _ => "x",
        };
        assert_eq!(holds(operator, "aws:nothing", &[value], Effect::Allow), expected, "{operator}");
    }
}

#[test]
fn many_values_are_compared_as_the_quantifier_says() {
    let cases: &[(&str, &[&str], bool, bool)] = &[
        ("ForAllValues:StringEquals", &["team", "stage", "x"], true, true),
        ("ForAllValues:StringEquals", &["team"], false, false),
        ("ForAnyValue:StringEquals", &["team"], true, true),
        ("ForAnyValue:StringEquals", &["x"], false, false),
        ("ForAllValues:StringNotEquals", &["team"], false, false),
        ("ForAllValues:StringNotEquals", &["x"], true, true),
        ("ForAnyValue:StringNotEquals", &["team"], true, true),
        ("ForAnyValue:StringNotEquals", &["team", "stage"], false, false),
        // Without quantifier an allow needs every value, a deny takes any.
        ("StringEquals", &["team"], false, true),
        ("StringEquals", &["team", "stage"], true, true),
        ("StringNotEquals", &["team"], false, true),
    ];
    for (operator, values, allow, deny) in cases {
        let verdict =
            [Effect::Allow, Effect::Deny].map(|effect| holds(operator, "aws:TagKeys", values, effect));
        assert_eq!(verdict, [*allow, *deny], "{operator} {values:?}");
    }
}

#[test]
fn a_variable_without_value_fails_an_allow_and_not_a_deny() {
    let cases: &[(&str, &[&str], bool, bool)] = &[
        ("StringEquals", &["${aws:nothing}"], false, false),
        ("StringNotEquals", &["${aws:nothing}"], false, true),
        ("StringEquals", &["${aws:nothing}", "ana"], true, true),
        ("StringNotEquals", &["${aws:nothing}", "ana"], false, false),
        ("StringEquals", &["${aws:username}"], true, true),
        ("StringLike", &["${aws:nothing, 'an'}?"], true, true),
    ];
    for (operator, values, allow, deny) in cases {
        let verdict =
            [Effect::Allow, Effect::Deny].map(|effect| holds(operator, "aws:username", values, effect));
        assert_eq!(verdict, [*allow, *deny], "{operator} {values:?}");
    }
}

#[test]
fn a_value_that_the_operator_cannot_compare_with_is_refused() {
    let cases = [
        ("Bool", "yes"),
        ("Null", ""),
        ("IpAddress", "10.0.0.0/33"),
        ("IpAddress", "10.0.0.0/+8"),
        ("IpAddress", "::1/129"),
        ("IpAddress", "10.0.0"),
        ("DateEquals", "tomorrow"),
        ("DateEquals", "2026-13-01"),
        ("DateEquals", "2026-13"),
        ("DateEquals", "2026-03-01T12:00"),
        ("BinaryEquals", "ana"),
        ("BinaryEquals", "YW5h\n"),
        ("NumericEquals", "1e3"),
        ("NumericEquals", "NaN"),
        ("NumericEquals", "inf"),
        ("NumericEquals", ""),
        ("NumericEquals", "1.2.3"),
        ("NumericEquals", "${aws:x}"),
        ("ArnLike", "role/Admin"),
    ];
    for (operator, value) in cases {
        let refused = Condition::parse(operator, "aws:x", &[value], true);
        assert!(matches!(refused, Err(PolicyFault::Value { .. })), "{operator} {value}: {refused:?}");
    }
    assert!(Condition::parse("StringEquals", "", &["x"], true).is_err());
    assert!(Condition::parse("StringEquals", "a b", &["x"], true).is_err());
}

#[test]
fn an_ipv4_address_written_as_ipv6_is_the_same_address() {
    let mut keys = ConditionKeys::new();
    keys.set("aws:SourceIp", "::ffff:10.1.2.3");
    let condition = Condition::parse("IpAddress", "aws:SourceIp", &["10.0.0.0/8"], true).unwrap();
    assert!(condition.holds(&keys, Effect::Allow));
    keys.set("aws:SourceIp", "10.1.2.3");
    for (range, expected) in [
        ("::ffff:10.1.2.3", true),
        ("::ffff:10.0.0.0/104", true),
        ("::ffff:0:0/96", true),
        ("::ffff:10.2.0.0/112", false),
        // Of all of IPv6, which no address of IPv4 is of.
        ("::/0", false),
    ] {
        let condition = Condition::parse("IpAddress", "aws:SourceIp", &[range], true).unwrap();
        assert_eq!(condition.holds(&keys, Effect::Deny), expected, "{range}");
    }
}
