use proptest::prelude::*;

use super::*;

#[test]
fn a_principal_is_read_back_from_its_arn() {
    for text in [
        "arn:aws:iam::111122223333:root",
        "arn:aws:iam::111122223333:user/ana",
        "arn:aws:iam::111122223333:user/team/a/ana",
        "arn:aws-cn:iam::111122223333:role/Admin",
        "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Dev_0123456789abcdef",
        "arn:aws-us-gov:sts::111122223333:assumed-role/Admin/ana@example.com",
        "arn:aws:sts::111122223333:assumed-role/org/Admin/i-0123456789abcdef0",
        "arn:aws-iso-f:sts::111122223333:federated-user/bob",
    ] {
        let principal = PrincipalArn::parse(text).unwrap();
        assert_eq!(principal.to_string(), text);
    }
}

#[test]
fn the_parts_of_a_principal_are_told_apart() {
    let user = PrincipalArn::parse("arn:aws:iam::111122223333:user/team/a/ana").unwrap();
    assert_eq!((user.path(), user.name(), user.session_name()), (Some("/team/a/"), Some("ana"), None));
    let session = PrincipalArn::parse("arn:aws:sts::111122223333:assumed-role/Admin/ana").unwrap();
    assert_eq!((session.path(), session.name(), session.session_name()), (None, Some("Admin"), Some("ana")));
    assert_eq!(user.without_path().to_string(), "arn:aws:iam::111122223333:user/ana");
}

#[test]
fn what_names_no_principal_is_refused_by_its_fault() {
    use PrincipalArnError as E;
    let own = str::to_owned;
    let long = "n".repeat(65);
    let long_arn = format!("arn:aws:iam::111122223333:user/{long}");
    // Its canonical ARN would be that of a role whose path is too long.
    let long_path = ["team"; 103].join("/");
    let long_session = format!("arn:aws:sts::111122223333:assumed-role/{long_path}/Admin/ana");
    let cases = [
        ("arn:moon:iam::111122223333:root", E::Partition(own("moon"))),
        ("arn:AWS:iam::111122223333:root", E::Partition(own("AWS"))),
        ("arn:aws:s3::111122223333:root", E::Service(own("s3"))),
        ("arn:aws:IAM::111122223333:root", E::Service(own("IAM"))),
        ("arn:aws:iam:us-east-1:111122223333:root", E::Region(own("us-east-1"))),
        ("arn:aws:iam::1111:root", E::Account(own("1111"))),
        ("arn:aws:iam::aws:policy/AdministratorAccess", E::Account(own("aws"))),
        ("arn:aws:iam::111122223333:group/g", E::Resource(own("group/g"))),
        ("arn:aws:iam::111122223333:Root", E::Resource(own("Root"))),
        ("arn:aws:iam::111122223333:user", E::Resource(own("user"))),
        ("arn:aws:iam::111122223333:assumed-role/R/S", E::Resource(own("assumed-role/R/S"))),
        ("arn:aws:sts::111122223333:role/R", E::Resource(own("role/R"))),
        ("arn:aws:sts::111122223333:assumed-role/Admin", E::NoSession(own("assumed-role/Admin"))),
        ("arn:aws:sts::111122223333:assumed-role/Admin/", E::Name(own(""))),
        ("arn:aws:sts::111122223333:assumed-role//ana", E::Name(own(""))),
        ("arn:aws:iam::111122223333:user/", E::Name(own(""))),
        ("arn:aws:iam::111122223333:user/a*", E::Name(own("a*"))),
        ("arn:aws:iam::111122223333:user//ana", E::Path(own(""))),
        ("arn:aws:iam::111122223333:user/tëam/ana", E::Path(own("tëam"))),
        (&long_arn, E::Name(long.clone())),
        (&long_session, E::Path(long_path.clone())),
    ];
    for (text, error) in cases {
        assert_eq!(PrincipalArn::parse(text), Err(error), "{text}");
    }
}

#[test]
fn immunity_09_a_session_name_cannot_hold_what_templates_and_prefixes_are_made_of() {
    for name in ["system:masters", "a/b:c", "x y", "{{AccountID}}", "a\nb", "ünï", "system:node:n"] {
        let arn = format!("arn:aws:sts::111122223333:assumed-role/Admin/{name}");
        assert!(PrincipalArn::parse(&arn).is_err(), "{name}");
        assert!(!is_session_name(name), "{name}");
    }
    for (name, allowed) in
        [("ana@example.com", true), ("a", false), ("aa", true), (&"a".repeat(65) as &str, false)]
    {
        assert_eq!(is_session_name(name), allowed, "{name}");
    }
}

proptest! {
    #[test]
    fn every_principal_of_good_parts_round_trips(
        partition in prop::sample::select(Partition::ALL.to_vec()),
        account in "[0-9]{12}",
        path in "(/[a-z.]{1,5}){0,3}/",
        name in "[A-Za-z0-9_+=,.@-]{1,20}",
        session in "[A-Za-z0-9_+=,.@-]{1,20}",
    ) {
        for kind in [
            PrincipalKind::Root,
            PrincipalKind::User { path: path.clone(), name: name.clone() },
            PrincipalKind::Role { path: path.clone(), name: name.clone() },
            PrincipalKind::AssumedRole { role: name.clone(), session: session.clone() },
            PrincipalKind::FederatedUser { name: name.clone() },
        ] {
            let principal = PrincipalArn { partition, account: AccountId::parse(&account).unwrap(), kind };
            prop_assert_eq!(PrincipalArn::parse(&principal.to_string()), Ok(principal.clone()));
            let canonical = principal.canonical();
            prop_assert_eq!(&CanonicalArn::parse(canonical.as_str()).unwrap(), &canonical);
        }
    }
}
