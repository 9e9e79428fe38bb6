"""aws-auth: what real ConfigMaps hold, good and bad."""

import yaml

from hub import NO


def line_for(user, name, *groups) -> str:
    return f"- userarn: {user.arn}\n  username: {name}\n  groups: [{', '.join(groups)}]\n"


def config_map(**data: str) -> str:
    """A whole `kubectl get cm -o yaml` document, with YAML in strings."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "aws-auth", "namespace": "kube-system"},
            "data": data,
        }
    )


def in_force(hub, cluster) -> dict:
    versions = hub.cli("aws-auth", "get", cluster.id)
    return [version for version in versions if version["status"] == "accepted"][-1]


def test_users_roles_and_accounts_are_mapped_and_entries_come_first(hub, cluster):
    ana, ben = hub.create_user("ana"), hub.create_user("ben", path="/team/")
    role = hub.create_role("deployer", trusts=ana.arn)
    text = config_map(
        mapUsers=line_for(ana, "ana", "devs", "on-call"),
        mapRoles=f"- rolearn: {role.arn}\n  username: deploy:{{{{SessionName}}}}\n  groups:\n  - deployers\n",
        mapAccounts=f'- "{hub.account}"\n',
    )
    done = cluster.push_aws_auth(text)
    assert done.returncode == 0, done.stderr
    user = cluster.log_in(ana)
    assert user["username"] == "ana" and user["groups"] == ["devs", "on-call", "system:authenticated"]
    assert cluster.log_in(hub.assume_role(ana, role, "ci"))["username"] == "deploy:ci"
    by_account = cluster.log_in(ben)
    assert by_account["username"] == ben.arn and by_account["groups"] == ["system:authenticated"]
    cluster.entry(ana, groups=["by-entry"])
    assert cluster.log_in(ana)["groups"] == ["by-entry", "system:authenticated"]


def test_a_bad_version_is_kept_as_rejected_with_its_line_and_the_last_good_one_stays(hub, cluster):
    ana, ben = hub.create_user("ana"), hub.create_user("ben")
    good = config_map(mapUsers=line_for(ana, "ana", "devs"))
    assert cluster.push_aws_auth(good).returncode == 0
    before = cluster.log_in(ana)
    broken = "mapUsers: |\n  - userarn: " + ben.arn + "\n   username: ben\n  groups: [x\n"
    done = cluster.push_aws_auth(broken)
    assert done.returncode == NO, (done.returncode, done.stdout, done.stderr)
    newest = hub.cli("aws-auth", "get", cluster.id)[-1]
    assert newest["status"] == "rejected" and newest["content"] == broken
    fatal = [finding for finding in newest["findings"] if finding["fatal"]]
    assert fatal and 2 <= fatal[0]["line"] <= 4 and fatal[0]["column"] > 0, fatal
    assert in_force(hub, cluster)["content"] == good
    assert cluster.log_in(ana)["username"] == "ana"
    assert cluster.verdict(before, verb="get", resource="pods")[0] == "no opinion", (
        "the proof of before still holds"
    )
    assert cluster.refusal(ben) == "unmapped"


def test_a_bad_part_is_reported_and_the_rest_is_not_lost(hub, cluster):
    ana, ben = hub.create_user("ana"), hub.create_user("ben")
    text = config_map(
        mapUsers=f"- username: nobody\n{line_for(ana, 'ana', 'devs')}- userarn: nonsense\n{line_for(ben, 'ben')}"
    )
    done = cluster.push_aws_auth(text)
    assert done.returncode == 0, done.stderr
    version = in_force(hub, cluster)
    paths = [finding["path"] for finding in version["findings"]]
    assert any("mapUsers[0]" in path for path in paths) and any("mapUsers[2]" in path for path in paths), (
        paths
    )
    assert cluster.log_in(ana)["username"] == "ana" and cluster.log_in(ben)["username"] == "ben"


def test_a_slip_around_the_parts_is_rejected_and_cuts_nobody_off(hub, cluster):
    ana = hub.create_user("ana")
    good = config_map(mapUsers=line_for(ana, "ana", "devs"))
    assert cluster.push_aws_auth(good).returncode == 0
    part = f"mapUsers: |\n  - userarn: {ana.arn}\n    username: x\n"
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: aws-auth\n  namespace: kube-system\n"
    indented = part.replace("\n  ", "\n    ").replace("mapUsers", "  mapUsers")
    for slip, line, spelling in [
        (f"{head}data:\n{part}", 7, "`data`"),
        (f"data:\n{part}", 2, "`data`"),
        (f"{head}Data:\n{indented}", 6, "`data`"),
        (f"Data:\n{indented}", 1, "`data`"),
        (head, 1, "`data: {}`"),
        (f"{head}data:\n", 6, "`data: {}`"),
        (f"mapRoles: ''\n{part.replace('mapUsers', 'mapusers')}", 2, "`mapUsers`"),
        (f"mapRoles: ''\n{part.replace('mapUsers', 'mapUser')}", 2, "`mapUsers`"),
    ]:
        done = cluster.push_aws_auth(slip)
        assert done.returncode == NO, (slip, done.stdout, done.stderr)
        newest = hub.cli("aws-auth", "get", cluster.id)[-1]
        fatal = [finding for finding in newest["findings"] if finding["effect"] == "fatal"]
        assert newest["status"] == "rejected", (slip, newest)
        assert (fatal[0]["line"], fatal[0]["column"]) == (line, 1), (slip, fatal)
        assert spelling in fatal[0]["message"], (slip, fatal)
        assert in_force(hub, cluster)["content"] == good
        assert cluster.log_in(ana)["username"] == "ana"


def test_an_emptied_config_map_is_taken_as_a_server_prints_it_and_said_to_map_nobody(hub, cluster):
    ana = hub.create_user("ana")
    printed = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: aws-auth\n  namespace: kube-system\n"
        '  resourceVersion: "812"\n  uid: 0b6d6a6e-0000-4000-8000-000000000000\n'
    )
    for empty, effects in [("data: {}\n", []), (printed, ["kept"])]:
        assert cluster.push_aws_auth(config_map(mapUsers=line_for(ana, "ana"))).returncode == 0
        assert cluster.log_in(ana)["username"] == "ana"
        done = cluster.push_aws_auth(empty)
        assert done.returncode == 0, (empty, done.stdout, done.stderr)
        findings = in_force(hub, cluster)["findings"]
        assert [finding["effect"] for finding in findings] == effects, (empty, findings)
        assert cluster.refusal(ana) == "unmapped"


def test_a_line_that_is_gone_denies_its_proof(hub, cluster):
    ana = hub.create_user("ana")
    cluster.push_aws_auth(config_map(mapUsers=line_for(ana, "ana", "devs", "on-call")))
    user = cluster.log_in(ana)
    assert cluster.verdict(user, verb="get", resource="pods")[0] == "no opinion"
    cluster.push_aws_auth(config_map(mapUsers=line_for(ana, "ana", "devs")))
    assert cluster.verdict(user, verb="get", resource="pods")[0] == "denied"
    assert cluster.verdict(cluster.log_in(ana), verb="get", resource="pods")[0] == "no opinion"
    cluster.push_aws_auth(config_map(mapUsers="[]"))
    assert cluster.refusal(ana) == "unmapped"


def test_a_role_with_its_path_never_matches_and_the_near_miss_says_so(hub, cluster):
    ana = hub.create_user("ana")
    role = hub.create_role("pathed", trusts=ana.arn, path="/team/")
    session = hub.assume_role(ana, role, "ana")
    cluster.push_aws_auth(config_map(mapRoles=f"- rolearn: {role.arn}\n  username: x\n"))
    assert cluster.refusal(session) == "unmapped"
    told = str(hub.explain("--token", "-", "--cluster", cluster.id, stdin=cluster.token(session)))
    assert "path" in told and role.arn in told, told
    canonical = role.arn.replace("/team/", "/")
    cluster.push_aws_auth(config_map(mapRoles=f"- rolearn: {canonical}\n  username: x\n"))
    assert cluster.log_in(session)["username"] == "x"


def test_modes_say_which_of_the_two_counts_and_go_one_way(hub):
    cluster = hub.create_cluster("mode", "--authentication-mode", "CONFIG_MAP")
    ana = hub.create_user("ana")
    cluster.push_aws_auth(config_map(mapUsers=line_for(ana, "by-aws-auth", "devs")))
    assert cluster.log_in(ana)["username"] == "by-aws-auth"
    why = hub.refused("entry", "create", cluster.id, ana.arn, code=NO)
    assert "CONFIG_MAP" in why and "API_AND_CONFIG_MAP" in why, why
    hub.cli("cluster", "update", cluster.id, "--authentication-mode", "API_AND_CONFIG_MAP")
    cluster.entry(ana, "--username", "by-entry")
    assert cluster.log_in(ana)["username"] == "by-entry"
    hub.cli("cluster", "update", cluster.id, "--authentication-mode", "API")
    hub.cli("entry", "delete", cluster.id, ana.arn)
    assert cluster.refusal(ana) == "unmapped"
    why = hub.refused("cluster", "update", cluster.id, "--authentication-mode", "CONFIG_MAP", code=2)
    assert "API" in why and "CONFIG_MAP" in why


def test_the_offline_check_names_line_and_column_and_needs_no_hub(hub, tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(config_map(mapUsers="- userarn: arn:aws:iam::111122223333:user/ana\n  username: ana\n"))
    bad.write_text("mapRoles: |\n  - rolearn: [\n")
    assert hub.run("aws-auth", "check", str(good)).returncode == 0
    done = hub.run("aws-auth", "check", str(bad))
    assert done.returncode == NO and '"line"' in done.stdout
    nobody = tmp_path / "nobody.yaml"
    line = "- userarn: arn:aws:iam::111122223333:user/ana\n  username: ops:{{SessionName}}\n"
    nobody.write_text(config_map(mapUsers=line))
    done = hub.run("aws-auth", "check", str(nobody))
    assert done.returncode == 0 and "mapUsers[0].username" in done.stdout and "maps nobody" in done.stdout
    assert hub.run("aws-auth", "check", "--strict", str(nobody)).returncode == NO
