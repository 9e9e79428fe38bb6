"""SubjectAccessReview on the wire: whole objects in both versions, and proofs that are somebody else's."""

import json

import pytest

from cluster import PROOF, access_review_of, with_id
from hub import USAGE, YES
from kube import RBAC_GROUP

VERSIONS = ["v1", "v1beta1"]
PODS = {"verb": "list", "resource": "pods"}


@pytest.fixture(scope="module")
def world(hub):
    """ana may view namespace team-a, ben may nothing; for tests that change neither."""
    cluster = hub.create_cluster("asked")
    ana, ben = hub.create_user("ana"), hub.create_user("ben")
    cluster.entry(ana, groups=["devs"], policy="AmazonEKSViewPolicy", namespaces=["team-a", "dev-*"])
    cluster.entry(ben, groups=["devs"])
    return cluster, cluster.log_in(ana), cluster.log_in(ben)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_access_policy_allows_and_is_named(world, version):
    cluster, ana, _ = world
    answer = cluster.access_review(ana, version=version, namespace="team-a", **PODS)
    reason, _ = with_id(answer["status"].pop("reason"))
    assert answer == {
        "apiVersion": f"authorization.k8s.io/{version}",
        "kind": "SubjectAccessReview",
        "status": {"allowed": True},
    }
    assert "AmazonEKSViewPolicy" in reason and "team-a" in reason


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_matched_is_no_opinion_so_that_the_clusters_own_rbac_is_asked(world, version):
    cluster, ana, _ = world
    answer = cluster.access_review(ana, version=version, namespace="team-b", **PODS)
    reason, decision = with_id(answer["status"].pop("reason"))
    assert answer == {
        "apiVersion": f"authorization.k8s.io/{version}",
        "kind": "SubjectAccessReview",
        "status": {"allowed": False},
    }
    # What would have allowed it, for whom the proof knows; the nearest first, and then where more is.
    first, *more = reason.split("; ")[1:]
    assert first.startswith("access policy AmazonEKSViewPolicy allows it in namespaces ") and "team-a" in first
    assert len(more) <= 2 and more[-1] == "`lanyard explain --id` says more", reason
    assert "\n" not in reason and len(reason) < 1000
    explained = cluster.hub.explain_decision(decision)
    assert explained["verdict"] == "left_to_cluster"


def test_whom_no_proof_knows_is_told_nothing_of_what_would_have_allowed_it(world):
    cluster, ana, _ = world
    bare = {"username": ana["username"], "groups": ana["groups"]}
    answer = cluster.access_review(bare, namespace="team-b", **PODS)
    reason, _ = with_id(answer["status"]["reason"])
    assert not answer["status"]["allowed"] and ";" not in reason and "AmazonEKS" not in reason, reason


def test_an_access_policy_holds_where_its_scope_says(world):
    cluster, ana, _ = world
    cases = [
        ({"verb": "get", "resource": "pods", "namespace": "team-a"}, "allowed"),
        ({"verb": "get", "resource": "pods", "subresource": "log", "namespace": "team-a"}, "allowed"),
        ({"verb": "watch", "resource": "deployments", "group": "apps", "namespace": "dev-1"}, "allowed"),
        ({"verb": "get", "resource": "pods", "namespace": "dev"}, "no opinion"),
        ({"verb": "get", "resource": "pods", "namespace": "team-a2"}, "no opinion"),
        ({"verb": "get", "resource": "pods"}, "no opinion"),
        ({"verb": "get", "resource": "secrets", "namespace": "team-a"}, "no opinion"),
        ({"verb": "delete", "resource": "pods", "namespace": "team-a"}, "no opinion"),
        ({"verb": "create", "resource": "pods", "subresource": "exec", "namespace": "team-a"}, "no opinion"),
        ({"verb": "get", "path": "/metrics"}, "no opinion"),
    ]
    for asked, expected in cases:
        assert cluster.verdict(ana, **asked)[0] == expected, asked


def test_extra_alone_proves_nothing(world):
    cluster, ana, ben = world
    extra = {key: values for key, values in ana["extra"].items() if key != PROOF}
    bare = {"username": ana["username"], "groups": ana["groups"], "extra": extra}
    assert cluster.verdict(bare, namespace="team-a", **PODS)[0] == "no opinion"
    assert cluster.verdict(ben | {"extra": ben["extra"]}, namespace="team-a", **PODS)[0] == "no opinion"


def test_a_proof_is_for_one_user_with_these_groups_in_one_cluster(world, hub):
    cluster, ana, ben = world
    other = hub.create_cluster("elsewhere")
    proof = ana["extra"][PROOF][0]
    asked = {"namespace": "team-a", **PODS}
    assert cluster.verdict(ana, **asked)[0] == "allowed"
    changed = {
        "another's proof": ben | {"extra": ben["extra"] | {PROOF: [proof]}},
        "another username": ana | {"username": "system:admin"},
        "another group more": ana | {"groups": [*ana["groups"], "admins"]},
        "a group less": ana | {"groups": ["system:authenticated"]},
        "another byte": ana | {"extra": {PROOF: [("B" if proof[0] == "A" else "A") + proof[1:]]}},
        "cut": ana | {"extra": {PROOF: [proof[:-4]]}},
        "nothing": ana | {"extra": {PROOF: []}},
        "an empty one": ana | {"extra": {PROOF: [""]}},
        "two": ana | {"extra": {PROOF: [proof, proof]}},
        "in capitals": ana | {"extra": {PROOF.upper(): [proof + "A"]}},
    }
    for name, user in changed.items():
        verdict, reason = cluster.verdict(user, **asked)
        assert verdict == "denied", (name, verdict, reason)
    assert other.verdict(ana, **asked)[0] == "denied"
    # What the API server may do to a badge on its way: another order, and no uid (old aggregators).
    moved = {"username": ana["username"], "groups": list(reversed(ana["groups"])), "extra": ana["extra"]}
    assert cluster.verdict(moved, **asked)[0] == "allowed"


@pytest.mark.parametrize(
    "key",
    [
        PROOF,
        PROOF.upper(),
        "Lanyard.Dev/Proof",
        "lanyard.dev%2Fproof",
        "l%61nyard.dev/proof",
        "LANYARD%2edev%2FPROOF",
        "%6canyard.dev%2fproof",
        # Every key at once, as an API server asks where there are many: it then asks about no single one.
        "*",
    ],
)
@pytest.mark.parametrize(
    "verb", ["impersonate", "impersonate:user-info", "impersonate-on:serviceaccount:get"]
)
def immunity_40_nobody_impersonates_the_proof_in_any_spelling(world, key, verb):
    cluster, ana, _ = world
    asked = {
        "verb": verb,
        "group": "authentication.k8s.io",
        "resource": "userextras",
        "subresource": key,
        "name": "x",
    }
    for user in (ana, {"username": "system:admin", "groups": ["system:masters"]}, {"username": "helpdesk"}):
        verdict, _ = cluster.verdict(user, **asked)
        assert verdict == "denied", user["username"]


def test_impersonating_other_extras_is_left_to_the_cluster(world):
    cluster, _, _ = world
    helpdesk = {"username": "helpdesk", "groups": ["helpers"]}
    for key in ("scopes", "lanyard.dev/proofs", "example.com/proof"):
        asked = {
            "verb": "impersonate",
            "group": "authentication.k8s.io",
            "resource": "userextras",
            "subresource": key,
        }
        assert cluster.verdict(helpdesk, **asked)[0] == "no opinion", key


def immunity_30_selectors_that_cannot_be_read_leave_the_review_unscoped(world):
    cluster, ana, _ = world
    good = {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["a"]}]}
    bad = [
        {"requirements": [{"key": "a", "operator": "Near", "values": ["b"]}]},
        {"rawSelector": "a=b"},
        "a=b",
        7,
        [],
    ]
    for selector in [good, *bad]:
        for member in ("fieldSelector", "labelSelector"):
            asked = {"namespace": "team-a", member: selector, **PODS}
            assert cluster.verdict(ana, **asked)[0] == "allowed", selector
            asked["namespace"] = "team-b"
            assert cluster.verdict(ana, **asked)[0] == "no opinion", selector


def test_a_cluster_in_full_mode_has_its_rbac_evaluated_here(hub):
    cluster = hub.create_cluster("full", "--authorizer-mode", "full")
    cid = hub.create_user("cid")
    cluster.entry(cid, groups=["readers"])
    hub.cli("rbac", "apply", cluster.id, "-f", "-", stdin=json.dumps(readers()))
    user = cluster.log_in(cid)
    verdict, reason = cluster.verdict(user, verb="get", resource="configmaps", namespace="team-a")
    assert verdict == "allowed" and "RoleBinding/team-a/readers" in reason
    assert cluster.verdict(user, verb="get", resource="configmaps", namespace="team-b")[0] == "no opinion"
    hub.cli("rbac", "delete", cluster.id, "RoleBinding/team-a/readers")
    assert cluster.verdict(user, verb="get", resource="configmaps", namespace="team-a")[0] == "no opinion"


def test_what_is_listed_is_a_list_that_is_applied_as_it_is(hub, cluster):
    hub.cli("rbac", "apply", cluster.id, "-f", "-", stdin=json.dumps(readers()))
    for output in ("json", "yaml"):
        listed = hub.run("rbac", "list", cluster.id, output=output)
        assert listed.returncode == YES, listed.stderr
        done = hub.cli("rbac", "apply", cluster.id, "-f", "-", "--replace", stdin=listed.stdout)["value"]
        counts = {name: done[name] for name in ("created", "changed", "unchanged", "removed")}
        assert counts == {"created": 0, "changed": 0, "unchanged": 2, "removed": 0}, (output, done)
    listed = hub.cli("rbac", "list", cluster.id)
    listed["items"].sort(key=lambda item: item["kind"])
    assert listed == readers(), "as kubectl prints it"


def test_a_file_is_taken_by_what_of_it_decides_and_refused_with_a_way_that_loses_nothing(hub, cluster):
    objects = readers()
    for item in objects["items"]:
        item["metadata"]["annotations"] = {"printed": "x" * (3 << 20)}
    text = json.dumps(objects, indent=2)
    assert len(text) > 6 << 20
    done = hub.cli("rbac", "apply", cluster.id, "-f", "-", "--replace", stdin=text)["value"]
    assert (done["created"], done["removed"]) == (2, 0)
    binding = next(item for item in objects["items"] if item["kind"] == "RoleBinding")
    group = {"apiGroup": RBAC_GROUP, "kind": "Group"}
    binding["subjects"] = [group | {"name": f"{number}-" + "x" * 1000} for number in range(4500)]
    words = ("rbac", "apply", cluster.id, "-f", "-", "--replace")
    said = hub.refused(*words, code=USAGE, stdin=json.dumps(objects))
    assert "its 2 objects are" in said and "`gateway.message_bytes_max` to" in said, said
    assert "in parts without --replace" in said, said
    assert len(hub.cli("rbac", "list", cluster.id)["items"]) == 2


def test_a_cluster_that_asks_first_keeps_its_rbac_to_itself(hub, cluster):
    cid = hub.create_user("cid")
    cluster.entry(cid, groups=["readers"])
    hub.cli("rbac", "apply", cluster.id, "-f", "-", stdin=json.dumps(readers()))
    asked = {"verb": "get", "resource": "configmaps", "namespace": "team-a"}
    assert cluster.verdict(cluster.log_in(cid), **asked)[0] == "no opinion"


def test_both_spellings_of_groups_are_read_and_a_missing_one_is_none(world):
    cluster, ana, _ = world
    review = access_review_of(ana, version="v1beta1", namespace="team-a", **PODS)
    assert "group" in review["spec"] and "groups" not in review["spec"]
    assert cluster.post("subjectaccessreview", review).json()["status"]["allowed"]
    review["spec"]["group"] = None
    assert cluster.post("subjectaccessreview", review).json()["status"]["denied"]


def readers() -> dict:
    """What `kubectl get role,rolebinding -o json` prints."""
    api = "rbac.authorization.k8s.io"
    role = {
        "apiVersion": f"{api}/v1",
        "kind": "Role",
        "metadata": {"name": "readers", "namespace": "team-a"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}],
    }
    binding = {
        "apiVersion": f"{api}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "readers", "namespace": "team-a"},
        "subjects": [{"apiGroup": api, "kind": "Group", "name": "readers"}],
        "roleRef": {"apiGroup": api, "kind": "Role", "name": "readers"},
    }
    return {"apiVersion": "v1", "kind": "List", "items": [role, binding]}
