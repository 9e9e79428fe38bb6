use proptest::prelude::*;

use super::*;

const ACCOUNT: &str = "111122223333";

fn role(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

/// A ConfigMap's data with this as mapRoles.
fn map_roles(list: &str) -> String {
    let indented: String = list.lines().map(|line| format!("  {line}\n")).collect();
    format!("mapRoles: |\n{indented}")
}

/// `line:column path` of each finding, `!` before fatal ones.
fn places(checked: &Checked) -> Vec<String> {
    let mark = |fatal| if fatal { "!" } else { "" };
    checked
        .findings
        .iter()
        .map(|f| format!("{}{}:{} {}", mark(f.is_fatal()), f.line, f.column, f.path))
        .collect()
}

fn says(checked: &Checked, text: &str) -> bool {
    checked.findings.iter().any(|finding| finding.message.contains(text))
}

#[test]
fn the_same_map_is_read_from_every_form_it_comes_in() {
    let list = "- rolearn: arn:aws:iam::111122223333:role/dev\n  username: dev\n  groups:\n  - devs\n";
    let data = map_roles(list);
    let nested: String = data.lines().map(|line| format!("  {line}\n")).collect();
    let config_map = format!(
        "apiVersion: v1\ndata:\n{nested}kind: ConfigMap\nmetadata:\n  name: aws-auth\n  namespace: kube-system\n"
    );
    let json = serde_json::json!({
        "kind": "ConfigMap", "metadata": {"name": "aws-auth"}, "data": {"mapRoles": list}
    });
    let other = serde_json::json!({"kind": "ConfigMap", "metadata": {"name": "coredns"}, "data": {"a": "b"}});
    let listed = serde_json::json!({"kind": "List", "items": [other, json.clone()]});
    let forms = [
        data,
        config_map,
        json.to_string(),
        serde_json::to_string_pretty(&json).unwrap(),
        listed.to_string(),
        format!("mapRoles:\n{list}"),
        format!("data:\n  mapRoles: {}\n  mapUsers: \"\"\n  mapAccounts: \"''\"\n", serde_json::json!(list)),
    ];
    for form in forms {
        let checked = AwsAuth::check(&form);
        assert_eq!(checked.findings, [], "{form}");
        let [line] = checked.auth.lines.as_slice() else { panic!("{form}: {checked:?}") };
        assert_eq!((line.arn.as_str(), line.username.as_str()), (role("dev").as_str(), "dev"), "{form}");
        assert_eq!(line.groups.iter().map(Template::as_str).collect::<Vec<_>>(), ["devs"], "{form}");
    }
}

#[test]
fn what_makes_the_whole_unreadable_is_fatal_and_names_its_place() {
    let cases = [
        ("", "!0:0 ", "empty"),
        ("# nothing\n", "!0:0 ", "empty"),
        ("just text", "!1:1 ", "no ConfigMap"),
        ("- a\n", "!1:1 ", "no ConfigMap"),
        ("maproles: []\n", "!1:1 maproles", "write `mapRoles`"),
        ("kind: Secret\ndata: {}\n", "!1:1 kind", "not a ConfigMap"),
        ("kind: ConfigMap\nmetadata: {name: other}\ndata: {}\n", "!1:1 metadata.name", "another ConfigMap"),
        ("kind: List\nitems: []\n", "!1:1 items", "aws-auth"),
        ("mapRoles: []\nmapRoles: []\n", "!2:1 ", "twice"),
        ("mapRoles: |\n  rolearn: x\n", "!2:3 mapRoles", "has to be a list"),
        ("mapRoles: |\n  - rolearn: x\n   username: y\n", "!3:4 mapRoles", "not YAML"),
        ("mapRoles: []\n---\nmapRoles: []\n", "!2:1 ", "second YAML document"),
        ("mapRoles: \"- a: [\\n\"\n", "!1:", "not YAML"),
        ("data:\n", "!1:1 data", "nothing stands below `data`"),
        ("kind: ConfigMap\ndata: ~\n", "!2:1 data", "`data: {}`"),
        ("data:\nmapRoles: |\n  - rolearn: x\n", "!2:1 mapRoles", "indent it below `data`"),
        ("kind: ConfigMap\ndata:\nmapUsers: []\n", "!3:1 mapUsers", "indent it below `data`"),
        ("kind: ConfigMap\ndata: {mapUsers: []}\nmapRoles: []\n", "!3:1 mapRoles", "indent it below `data`"),
        (
            "kind: ConfigMap\nmaproles: []\n",
            "!2:1 maproles",
            "write `mapRoles`, letter case counts, and indent",
        ),
        ("kind: ConfigMap\nData:\n  mapRoles: []\n", "!2:1 Data", "write `data`, letter case counts"),
        ("kind: ConfigMap\ndat: {}\n", "!2:1 dat", "write `data`"),
        ("Data:\n  mapRoles: []\n", "!1:1 Data", "write `data`, letter case counts"),
        ("mapUsers: []\nData:\n  mapRoles: []\n", "!2:1 Data", "write `data`"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: aws-auth\n", "!1:1 data", "has no `data`"),
        ("kind: ConfigMap\nmetadata:\n", "!1:1 data", "`data: {}`"),
        ("mapUsers: []\nmaproles: []\n", "!2:1 maproles", "write `mapRoles`, letter case counts"),
        ("mapUsers: []\nmapRole: []\n", "!2:1 mapRole", "write `mapRoles`"),
        ("data:\n  mapUsers: []\n  map_accounts: []\n", "!3:3 map_accounts", "write `mapAccounts`"),
        ("x: &x {mapRoles: []}\ndata:\n  mapUsers: []\n  <<: *x\n", "!4:3 <<", "only an entry"),
        ("x: &x {mapRoles: []}\ndata: {}\n<<: *x\n", "!3:1 <<", "only an entry"),
    ];
    for (document, place, message) in cases {
        let checked = AwsAuth::check(document);
        assert!(checked.is_fatal(), "{document}");
        assert_eq!(checked.auth, AwsAuth::default(), "{document}");
        assert!(places(&checked).iter().any(|p| p.starts_with(place)), "{document}: {:?}", checked.findings);
        assert!(says(&checked, message), "{document}: {:?}", checked.findings);
    }
    let long = format!("mapRoles: |\n{}", " ".repeat(CONTENT_BYTES_MAX));
    assert!(AwsAuth::check(&long).is_fatal());
    let many = format!("mapAccounts: [{}]", "x,".repeat(LINES_MAX + 1));
    assert!(AwsAuth::check(&many).is_fatal());
}

#[test]
fn an_empty_map_may_be_pushed_by_name() {
    for document in ["data: {}", "mapRoles: \"\"", "mapRoles: \"''\"", "mapRoles:", "mapRoles: |\n  # none\n"]
    {
        let checked = AwsAuth::check(document);
        assert_eq!((checked.findings.len(), checked.auth), (0, AwsAuth::default()), "{document}");
    }
}

#[test]
fn what_a_server_prints_of_a_config_map_without_data_is_an_empty_map_and_says_so() {
    let printed = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  creationTimestamp: \"2026-01-01T00:00:00Z\"\n  name: aws-auth\n  \
                   namespace: kube-system\n  resourceVersion: \"12\"\n  uid: 5f8e\n";
    let listed = "kind: List\nitems:\n- {kind: ConfigMap, metadata: {name: aws-auth, uid: 5f8e}}\n";
    for (document, place) in [(printed, "1:1 data"), (listed, "3:3 data")] {
        let checked = AwsAuth::check(document);
        assert_eq!(places(&checked), [place], "{document}");
        assert_eq!(checked.findings[0].effect, AwsAuthEffect::Kept, "{document}");
        assert!(says(&checked, "maps nobody"), "{document}");
    }
    // Whoever has written `data` is asked to finish it.
    assert!(AwsAuth::check(&format!("{printed}data:\n")).is_fatal());
}

#[test]
fn a_key_of_another_sort_is_not_read_and_costs_nothing() {
    for document in [
        "data:\n  mapUsers: []\n  date: today\n",
        "mapUsers: []\ndate: today\n",
        "mapUsers: []\nx-templates: {}\n",
        "kind: ConfigMap\nx-templates: {}\ndata: {}\n",
    ] {
        let checked = AwsAuth::check(document);
        let effects: Vec<AwsAuthEffect> = checked.findings.iter().map(|finding| finding.effect).collect();
        assert_eq!(effects, [AwsAuthEffect::Kept], "{document}: {:?}", checked.findings);
    }
    let whole = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: aws-auth}\nimmutable: true\nbinaryData: {}\ndata: {}\n";
    assert_eq!(AwsAuth::check(whole).findings, []);
}

#[test]
fn what_was_accepted_once_still_maps_whom_it_mapped() {
    let users = format!("mapUsers:\n- userarn: arn:aws:iam::{ACCOUNT}:user/ana\n  username: ana\n");
    for beside in ["maproles: []\n", "mapRole: []\n", "Data: {}\n"] {
        let document = format!("{users}{beside}");
        assert!(AwsAuth::check(&document).is_fatal(), "{document}");
        let Checked { auth, findings } = AwsAuth::of_accepted(&document);
        let names: Vec<&str> = auth.lines.iter().map(|line| line.username.as_str()).collect();
        assert_eq!(names, ["ana"], "{document}");
        assert_eq!(findings, AwsAuth::check(&document).findings, "{document}");
    }
}

/// So many lines of a part, each with the same groups, which are as many and nearly as long as they may be: written once, and by an
/// alias from then on.
fn with_long_groups(part: AwsAuthPart, lines: usize) -> String {
    let key = if part == AwsAuthPart::MapUsers { "userarn" } else { "rolearn" };
    let groups: Vec<String> = (0..GROUPS_MAX).map(|nth| format!("g{nth:0>999}")).collect();
    let written = format!("&g [{}]", groups.join(", "));
    let list: String = (0..lines)
        .map(|nth| {
            let groups = if nth == 0 { written.as_str() } else { "*g" };
            format!("- {key}: {}\n  username: u\n  groups: {groups}\n", role(&format!("{part}-{nth}")))
        })
        .collect();
    map_roles(&list).replace("mapRoles: |", &format!("{part}: |"))
}

#[test]
fn what_is_made_of_a_document_is_bounded_however_often_an_alias_repeats_it() {
    let (roles, users) = (AwsAuthPart::MapRoles, AwsAuthPart::MapUsers);
    for (in_roles, in_users, beyond) in [(30, 1, None), (30, 30, Some(users)), (60, 30, Some(roles))] {
        let parts = [with_long_groups(roles, in_roles), with_long_groups(users, in_users)].concat();
        let document = format!("{parts}mapAccounts: ['{ACCOUNT}']\n");
        let accepted = AwsAuth::of_accepted(&document);
        let of = |part: AwsAuthPart| accepted.auth.lines.iter().filter(|line| line.part == part).count();
        let names = accepted.auth.lines.iter().flat_map(AwsAuthLine::templates);
        assert!(names.map(|name| name.as_str().len()).sum::<usize>() <= MAP_BYTES_MAX / 2, "{beyond:?}");
        assert_eq!(accepted.auth.accounts.len(), 1, "{beyond:?}");

        let checked = AwsAuth::check(&document);
        assert_eq!(checked.findings, accepted.findings, "{beyond:?}");
        let Some(part) = beyond else {
            assert_eq!((of(roles), of(users)), (in_roles, in_users));
            assert_eq!((checked.findings.len(), &checked.auth), (0, &accepted.auth));
            continue;
        };
        assert_eq!(checked.auth, AwsAuth::default(), "{part}");
        let [finding] = checked.findings.as_slice() else { panic!("{part}: {:?}", checked.findings) };
        assert!(finding.is_fatal() && finding.message.contains("8388608 bytes of memory"), "{finding:?}");
        assert_eq!(finding.path, format!("{part}[{}]", of(part)));
        let line = document.lines().nth(usize::try_from(finding.line).unwrap() - 1).unwrap();
        assert!(line.ends_with(&role(&format!("{part}-{}", of(part)))), "{part}: {line}");
        assert!(of(roles) > 0 && of(part) > 0 && (part == users || of(users) == 0), "{part}");
    }
}

#[test]
fn a_line_that_is_beyond_the_bound_overrides_an_earlier_one_all_the_same() {
    let (first, second) = (role("mapRoles-0"), role("mapRoles-1"));
    let document = with_long_groups(AwsAuthPart::MapRoles, 60) + &format!("  - rolearn: {first}\n");
    let lines = AwsAuth::of_accepted(&document).auth.lines;
    assert!(lines.iter().any(|line| line.arn.as_str() == second));
    assert!(!lines.iter().any(|line| line.arn.as_str() == first), "what it gave may have been taken away");
}

#[test]
fn what_is_merged_into_a_line_is_read_and_its_own_counts_first() {
    let (a, b) = (role("a"), role("b"));
    let base = format!("- &a\n  rolearn: {a}\n  username: a\n  groups: [devs]\n");
    let cases = [
        (format!("{base}- <<: *a\n  rolearn: {b}\n"), "a", vec!["devs"]),
        (format!("{base}- rolearn: {b}\n  UserName: own\n  <<: *a\n"), "own", vec!["devs"]),
        (format!("{base}- <<: [{{groups: [first]}}, *a]\n  rolearn: {b}\n"), "a", vec!["first"]),
        (format!("{base}- <<: {{<<: *a, username: nearer}}\n  rolearn: {b}\n"), "nearer", vec!["devs"]),
    ];
    for (list, username, groups) in cases {
        let checked = AwsAuth::check(&map_roles(&list));
        assert_eq!(checked.findings, [], "{list}");
        let [_, line] = checked.auth.lines.as_slice() else { panic!("{list}: {checked:?}") };
        assert_eq!((line.arn.as_str(), line.username.as_str()), (b.as_str(), username), "{list}");
        assert_eq!(line.groups.iter().map(Template::as_str).collect::<Vec<_>>(), groups, "{list}");
    }
}

#[test]
fn what_cannot_be_merged_costs_the_line_alone() {
    let (a, b) = (role("a"), role("b"));
    let base = format!("- &a\n  rolearn: {a}\n  username: a\n");
    let many = (0..65).map(|nth| format!("k{nth}: x")).collect::<Vec<_>>().join(", ");
    let deep = format!("{}*a{}", "{<<: ".repeat(17), "}".repeat(17));
    for (value, message) in [
        ("text".to_owned(), "merges a mapping"),
        ("[*a, text]".to_owned(), "merges a mapping"),
        (format!("[{}]", ["*a"; 17].join(", ")), "more than 16 mappings"),
        (format!("{{{many}}}"), "or 64 keys"),
        (deep, "more than 16 mappings"),
        ("{username: x, UserName: y}".to_owned(), "twice"),
    ] {
        let checked = AwsAuth::check(&map_roles(&format!("{base}- rolearn: {b}\n  <<: {value}\n")));
        assert!(!checked.is_fatal() && says(&checked, message), "{value}: {:?}", checked.findings);
        let [finding] = checked.findings.as_slice() else { panic!("{value}: {checked:?}") };
        assert_eq!((finding.line, finding.path.as_str()), (6, "mapRoles[1]"), "{value}");
        assert_eq!(finding.effect, AwsAuthEffect::LeftOut, "{value}");
        assert_eq!(checked.auth.lines.len(), 1, "{value}");
    }
    // In quotes it is a key like another.
    let quoted = AwsAuth::check(&map_roles(&format!("{base}- rolearn: {b}\n  username: b\n  '<<': *a\n")));
    assert!(says(&quoted, "`<<` is not read") && quoted.auth.lines.len() == 2, "{quoted:?}");
}

#[test]
fn a_finding_says_whether_what_it_names_counts() {
    let arn = role("x");
    let (kept, left_out) = (AwsAuthEffect::Kept, AwsAuthEffect::LeftOut);
    for (list, effect) in [
        (format!("- rolearn: {arn}"), kept),
        (format!("- rolearn: {arn}\n  username: x\n  userid: AROAX"), kept),
        (format!("- rolearn: {arn}\n  username: x\n  team: y"), kept),
        (format!("- rolearn: {arn}\n  username: x\n  groups: [a - b]"), kept),
        (format!("- rolearn: {arn}\n  username: x\n  groups: a"), left_out),
        (format!("- rolearn: {arn}\n  username: x\n  groups: ['lanyard:x']"), left_out),
        (format!("- rolearn: {arn}\n  username: system:x"), left_out),
        (format!("- rolearn: {arn}\n  username: x\n- rolearn: {arn}\n  username: y"), left_out),
        (format!("- rolearn: {}\n  username: x", role("team/x")), left_out),
    ] {
        let checked = AwsAuth::check(&map_roles(&list));
        let effects: Vec<AwsAuthEffect> = checked.findings.iter().map(|finding| finding.effect).collect();
        assert_eq!(effects, [effect], "{list}: {:?}", checked.findings);
    }
}

#[test]
fn a_finding_of_before_there_were_three_effects_is_read() {
    for (fatal, effect) in [(true, AwsAuthEffect::Fatal), (false, AwsAuthEffect::LeftOut)] {
        let old = serde_json::json!({"fatal": fatal, "line": 1, "column": 2, "path": "p", "message": "m"});
        let finding: AwsAuthFinding = serde_json::from_value(old).unwrap();
        assert_eq!(finding.effect, effect);
    }
    let kept = AwsAuthFinding {
        effect: AwsAuthEffect::Kept,
        line: 1,
        column: 2,
        path: "p".to_owned(),
        message: "m".to_owned(),
    };
    let written = serde_json::to_value(&kept).unwrap();
    assert_eq!(
        (&written["fatal"], &written["effect"]),
        (&serde_json::json!(false), &serde_json::json!("kept"))
    );
    assert_eq!(serde_json::from_value::<AwsAuthFinding>(written).unwrap(), kept);
}

#[test]
fn a_bad_line_costs_itself_alone() {
    let good = format!("- rolearn: {}\n  username: kept\n", role("kept"));
    let long_arn = format!("- rolearn: {}\n  username: x", role(&"a".repeat(2048)));
    let long_username = format!("- rolearn: {}\n  username: {}", role("x"), "a".repeat(1025));
    let cases = [
        (long_arn.as_str(), "3:14", "at most 2048 are allowed"),
        (long_username.as_str(), "4:15", "at most 1024 bytes"),
        ("- username: x", "3:5", "no rolearn"),
        ("- text", "3:5", "no mapping"),
        ("- rolearn: arn:aws:iam::1:role/x\n  username: x", "3:14", "twelve digits"),
        ("- rolearn: arn:aws:s3:::bucket\n  username: x", "3:14", "iam and sts"),
        ("- userarn: arn:aws:iam::111122223333:user/x\n  username: x", "3:5", "mapRoles takes rolearn"),
        ("- sso: {permissionSetName: A, accountID: '1'}\n  username: x", "3:5", "sso is not read"),
        ("- rolearn: arn:aws:iam::111122223333:role/x\n  username: system:admin", "4:15", "reserved"),
        (
            "- rolearn: arn:aws:iam::111122223333:role/x\n  username: lanyard:break-glass:a",
            "4:15",
            "reserved",
        ),
        (
            "- rolearn: arn:aws:iam::111122223333:role/x\n  username: system:node:{{SessionName}}",
            "4:15",
            "system:nodes",
        ),
        ("- rolearn: arn:aws:iam::111122223333:role/x\n  username: '{{Nope}}'", "4:15", "not a placeholder"),
        ("- rolearn: arn:aws:iam::111122223333:role/x\n  RoleArn: y\n  username: x", "4:5", "twice"),
        ("- rolearn: arn:aws:iam::111122223333:role/team/x\n  username: x", "3:14", "role/x`"),
        ("- rolearn: arn:aws:sts::111122223333:assumed-role/x/s\n  username: x", "3:14", "role/x`"),
    ];
    for (bad, place, message) in cases {
        let checked = AwsAuth::check(&format!(
            "{}{}",
            map_roles(bad).replace("mapRoles: |\n", "# top\nmapRoles: |\n"),
            map_roles(&good).replace("mapRoles: |\n", "")
        ));
        assert!(!checked.is_fatal(), "{bad}: {:?}", checked.findings);
        let kept: Vec<&str> = checked.auth.lines.iter().map(|line| line.username.as_str()).collect();
        assert_eq!(kept, ["kept"], "{bad}");
        assert!(places(&checked).iter().any(|p| p.starts_with(place)), "{bad}: {:?}", checked.findings);
        assert!(says(&checked, message), "{bad}: {:?}", checked.findings);
    }
}

#[test]
fn a_text_that_lacks_its_quotes_is_fatal_and_maps_as_before_where_it_was_accepted() {
    let arn = role("x");
    let of_node = "system:node:{{EC2PrivateDNSName}}";
    let cases = [
        (
            format!("- rolearn: {arn}\n  username: {{{{SessionName}}}}"),
            "!3:13 mapRoles[0].username",
            vec![(arn.as_str(), vec![])],
        ),
        (
            format!("- rolearn: {arn}\n  username:\n    groups: [a]"),
            "!4:5 mapRoles[0].username",
            vec![(arn.as_str(), vec![])],
        ),
        (
            format!("- rolearn: {arn}\n  username: [ops]\n  groups: [a]"),
            "!3:13 mapRoles[0].username",
            vec![(arn.as_str(), vec!["a"])],
        ),
        (
            format!("- rolearn: {arn}\n  username: '{of_node}'\n  groups: [{{{{AccountID}}}}, a]"),
            "!4:12 mapRoles[0].groups[0]",
            vec![(of_node, vec!["a"])],
        ),
        (
            format!("- rolearn: {arn}\n  username: x\n  groups:\n  - a\n  - - b"),
            "!6:5 mapRoles[0].groups[1]",
            vec![("x", vec!["a"])],
        ),
        ("- rolearn: {{AccountID}}\n  username: x".to_owned(), "!2:12 mapRoles[0].rolearn", vec![]),
    ];
    for (list, place, before) in cases {
        let document = format!("mapRoles:\n{list}\n");
        let checked = AwsAuth::check(&document);
        assert_eq!(
            (places(&checked).as_slice(), &checked.auth),
            (&[place.to_owned()][..], &AwsAuth::default())
        );
        assert!(says(&checked, "put it in quotes"), "{list}: {:?}", checked.findings);
        let accepted = AwsAuth::of_accepted(&document);
        let lines = accepted.auth.lines.iter().map(|line| {
            (line.username.as_str(), line.groups.iter().map(Template::as_str).collect::<Vec<_>>())
        });
        assert_eq!(lines.collect::<Vec<_>>(), before, "{list}");
        assert_eq!(accepted.findings, checked.findings, "{list}");
    }
    // In a text, as a ConfigMap has it; and nothing is as no username.
    let block = AwsAuth::check(&map_roles(&format!("- rolearn: {arn}\n  username: {{{{SessionName}}}}")));
    assert_eq!(places(&block), ["!3:15 mapRoles[0].username"]);
    for empty in ["", "~", "''"] {
        let checked = AwsAuth::check(&map_roles(&format!("- rolearn: {arn}\n  username: {empty}")));
        assert!(!checked.is_fatal() && says(&checked, "no username"), "{empty}: {:?}", checked.findings);
    }
}

#[test]
fn an_odd_line_counts_and_is_reported() {
    let arn = role("x");
    let cases = [
        (
            format!("- rolearn: {arn}\n  username: x\n  groups: system:masters"),
            "x",
            vec![],
            "has to be a list",
        ),
        (
            format!("- rolearn: {arn}\n  username: x\n  groups:\n  - system:bootstrappers - system:nodes"),
            "x",
            vec!["system:bootstrappers - system:nodes"],
            "one group",
        ),
        (format!("- rolearn: {arn}\n  groups: [a]"), arn.as_str(), vec!["a"], "no username"),
        (format!("- ROLEARN: {arn}\n  UserName: x\n  Groups: [a, a, b]"), "x", vec!["a", "b"], ""),
        (format!("- rolearn: {arn}\n  username: x\n  userid: AROAX"), "x", vec![], "userid is not used"),
        (format!("- rolearn: {arn}\n  username: x\n  team: y"), "x", vec![], "`team`"),
        (format!("- rolearn: {arn}\n  username: x\n  Team: y"), "x", vec![], "`team`"),
        // No key that is read is as long, so that its letter case is not looked at.
        (
            format!("- rolearn: {arn}\n  username: x\n  RoleArnOfTheTeam2: y"),
            "x",
            vec![],
            "`RoleArnOfTheTeam2`",
        ),
        (
            format!("- rolearn: {arn}\n  username: x\n  groups: [{}, b]", "a".repeat(1025)),
            "x",
            vec!["b"],
            "at most 1024 bytes, this one has 1025; the group is left out",
        ),
        (
            format!("- rolearn: {arn}\n  username: x\n  groups: ['{{{{SessionName}}}}', b]"),
            "x",
            vec!["b"],
            "chosen by the caller",
        ),
        (
            format!("- rolearn: {arn}\n  username: x\n  groups: ['system:{{{{AccountID}}}}']"),
            "x",
            vec![],
            "not reserved",
        ),
        (
            format!("- rolearn: {arn}\n  username: x\n  groups: ['a{{{{AccountID}}}}']"),
            "x",
            vec!["a{{AccountID}}"],
            "",
        ),
        (
            format!("- rolearn: {arn}\n  username: x\n  groups: ['lanyard:break-glass']"),
            "x",
            vec![],
            "Lanyard's own",
        ),
        (
            format!("- rolearn: {arn}\n  username: a\n- rolearn: {}\n  username: x", role("X")),
            "x",
            vec![],
            "the last one counts",
        ),
        (format!("- rolearn: ARN:aws:IAM::{ACCOUNT}:Role/x\n  username: x"), "x", vec![], ""),
    ];
    for (list, username, groups, message) in cases {
        let checked = AwsAuth::check(&map_roles(&list));
        let [line] = checked.auth.lines.as_slice() else { panic!("{list}: {checked:?}") };
        assert_eq!(line.username.as_str(), username, "{list}");
        assert_eq!(line.groups.iter().map(Template::as_str).collect::<Vec<_>>(), groups, "{list}");
        assert_eq!(checked.findings.is_empty(), message.is_empty(), "{list}: {:?}", checked.findings);
        assert!(message.is_empty() || says(&checked, message), "{list}: {:?}", checked.findings);
    }
}

#[test]
fn a_node_line_is_one_of_exactly_two() {
    let cases = [
        ("system:node:{{EC2PrivateDNSName}}", "[]", true),
        ("system:node:{{EC2PrivateDNSName}}", "[system:bootstrappers, system:nodes]", true),
        ("system:node:{{SessionName}}", "[system:nodes]", true),
        ("system:node:{{SessionName}}", "[]", false),
        ("system:node:{{SessionNameRaw}}", "[system:nodes]", false),
        ("system:node:x{{SessionName}}", "[system:nodes]", false),
        ("system:node:ip-10-0-0-1.ec2.internal", "[system:nodes]", false),
        ("system:{{SessionName}}", "[system:nodes]", false),
    ];
    for (username, groups, kept) in cases {
        let list = format!("- rolearn: {}\n  username: '{username}'\n  groups: {groups}", role("node"));
        let lines = AwsAuth::check(&map_roles(&list)).auth.lines;
        assert_eq!(lines.len(), usize::from(kept), "{username} {groups}");
        assert!(lines.iter().all(AwsAuthLine::is_for_nodes), "{username} {groups}");
    }
}

#[test]
fn a_line_that_can_map_nobody_counts_and_is_reported_by_its_place() {
    let user = format!("arn:aws:iam::{ACCOUNT}:user/ana");
    let node = role("node");
    let cases = [
        (&user, "ops:{{SessionName}}", "", Some("username")),
        (&user, "{{SessionNameRaw}}", "", Some("username")),
        (&user, "{{EC2PrivateDNSName}}", "", Some("username")),
        (&user, "ana", "'node:{{EC2PrivateDNSName}}'", Some("groups")),
        (&user, "{{AccountID}}:{{PrincipalName}}", "system:masters", None),
        (&node, "ops:{{SessionName}}", "system:masters", None),
        (&node, "system:node:{{EC2PrivateDNSName}}", "'node:{{EC2PrivateDNSName}}'", None),
    ];
    for (arn, username, group, lacking) in cases {
        let line = format!("  username: '{username}'\n  groups: [{group}]");
        let (part, key) = if *arn == user { ("mapUsers", "userarn") } else { ("mapRoles", "rolearn") };
        let document = map_roles(&format!("- {key}: {arn}\n{line}")).replace("mapRoles", part);
        let checked = AwsAuth::check(&document);
        let [line] = checked.auth.lines.as_slice() else { panic!("{document}: {checked:?}") };
        assert_eq!(line.lacks().is_some(), lacking.is_some(), "{document}");
        let found: Vec<String> = lacking
            .map(|key| match key {
                "username" => format!("3:15 {part}[0].{key}"),
                _ => format!("4:13 {part}[0].{key}"),
            })
            .into_iter()
            .collect();
        assert_eq!(places(&checked), found, "{document}");
        assert!(lacking.is_none() || says(&checked, "maps nobody"), "{document}: {:?}", checked.findings);
    }
}

#[test]
fn an_entry_with_too_many_keys_is_left_out_before_they_are_looked_at() {
    for (count, is_left_out) in [(62, false), (70, true)] {
        let keys: String = (0..count).map(|number| format!("k{number}: x, ")).collect();
        let document = map_roles(&format!(
            "- {{{keys}rolearn: {}, username: a}}\n- {{rolearn: {}, username: b}}",
            role("a"),
            role("b")
        ));
        let checked = AwsAuth::check(&document);
        assert_eq!(checked.auth.lines.len(), if is_left_out { 1 } else { 2 }, "{count}");
        assert_eq!(
            says(&checked, "the entry has more than 64 keys; the entry is left out"),
            is_left_out,
            "{:?}",
            checked.findings
        );
        assert_eq!(says(&checked, "is not read here"), !is_left_out, "{count}");
    }
}

#[test]
fn an_account_is_twelve_digits_as_written() {
    let checked = AwsAuth::check(
        "mapAccounts: |\n  - \"111122223333\"\n  - 012345678901\n  - 12345678901\n  - x\n  - 111122223333\n",
    );
    let accounts: Vec<&str> = checked.auth.accounts.iter().map(|a| a.account.as_str()).collect::<Vec<_>>();
    assert_eq!(accounts, ["111122223333", "012345678901"]);
    assert_eq!(places(&checked), ["4:5 mapAccounts[2]", "5:5 mapAccounts[3]", "6:5 mapAccounts[4]"]);
    assert!(says(&checked, "leading zeros"));
}

#[test]
fn a_line_that_never_matches_is_kept_for_the_near_miss() {
    let checked = AwsAuth::check(&map_roles(&format!("- rolearn: {}\n  username: x", role("team/x"))));
    let [dead] = checked.auth.dead.as_slice() else { panic!("{checked:?}") };
    assert_eq!((dead.path.as_str(), dead.canonical.as_str()), ("mapRoles[0]", role("x").as_str()));
}

#[test]
fn findings_are_bounded_and_a_fatal_one_is_always_among_them() {
    let list: String = (0..FINDINGS_MAX + 50).map(|_| "- text\n").collect();
    let checked = AwsAuth::check(&format!("{}mapUsers: text\n", map_roles(&list)));
    assert_eq!(checked.findings.len(), FINDINGS_MAX + 2);
    assert!(checked.is_fatal());
    assert!(says(&checked, "50 more findings"));
    // One is enough.
    let line = |number: usize| format!("- rolearn: {}\n  username: {{a: b}}\n", role(&format!("r{number}")));
    let unquoted: String = (0..FINDINGS_MAX + 50).map(line).collect();
    for (before, listed, more) in [("", 0, 50), (list.as_str(), 1, 299)] {
        let checked = AwsAuth::check(&map_roles(&format!("{before}{unquoted}")));
        assert_eq!(checked.findings.len(), FINDINGS_MAX + listed + 1);
        assert!(checked.is_fatal() && says(&checked, &format!("{more} more findings")));
    }
}

#[test]
fn a_finding_is_one_line_whatever_it_repeats() {
    let documents = [
        "\"a\\tb\": 1\n\"a\\tb\": 2\n".to_owned(),
        "{\"a\\u2028b\": 1, mapRoles: []}".to_owned(),
        map_roles("- {rolearn: \"arn:aws:iam::111122223333:role/A\", username: \"a\\u2028{{x\"}\n"),
    ];
    for document in documents {
        let checked = AwsAuth::check(&document);
        let breaks = |c: char| c.is_control() || c == '\u{2028}';
        assert!(!checked.findings.is_empty(), "{document}");
        for finding in &checked.findings {
            assert!(!finding.message.contains(breaks), "{:?}", finding.message);
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = AwsAuth::check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_shuffled_config_map_makes_the_reader_panic(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "mapRoles: ", "mapUsers:", "mapAccounts: ", "|\n", "\n", "  ", "- ", "rolearn: ", "username: ", "groups:",
            "arn:aws:iam::111122223333:role/x", "{{SessionName}}", "\"", "'", "[", "]", "{", "}", "&a ", "*a", "<<: ",
            "\\n", "kind: List", "items:", "data:", "#", "---", "!!binary ", "? ", "é", "\t",
        ]), 0..40),
    ) {
        let checked = AwsAuth::check(&pieces.concat());
        prop_assert!(!checked.is_fatal() || checked.auth == AwsAuth::default());
        for line in &checked.auth.lines {
            prop_assert!(!line.username.as_str().is_empty());
        }
    }
}
