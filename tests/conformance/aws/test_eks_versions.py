"""The versions of Kubernetes that there are clusters of: of a hub, those whose API servers can ask it."""

from __future__ import annotations

from wire import Wire, let, refused

OLDEST, NEWEST = "1.17", "1.35"


def listed(eks, **filters) -> list[str]:
    pages = eks.get_paginator("describe_cluster_versions").paginate(**filters)
    return [version["clusterVersion"] for page in pages for version in page["clusterVersions"]]


def test_versions_are_listed_and_the_newest_is_the_default(wire, eks):
    told = eks.describe_cluster_versions()["clusterVersions"]
    numbers = [tuple(map(int, version["clusterVersion"].split("."))) for version in told]
    assert numbers == sorted(set(numbers))
    assert (told[0]["clusterVersion"], told[-1]["clusterVersion"]) == (OLDEST, NEWEST)
    assert [version["clusterVersion"] for version in told if version["defaultVersion"]] == [NEWEST]
    assert {version["versionStatus"] for version in told} == {"STANDARD_SUPPORT"}
    by_cli = wire.aws_json("eks", "describe-cluster-versions", "--default-only")["clusterVersions"]
    assert [version["clusterVersion"] for version in by_cli] == [NEWEST]


def test_each_filter_counts(eks):
    every = listed(eks)
    assert listed(eks, includeAll=True) == every
    assert listed(eks, versionStatus="STANDARD_SUPPORT", clusterType="eks") == every
    # As eksctl asks.
    assert listed(eks, clusterType="", defaultOnly=False, includeAll=False) == every
    assert listed(eks, clusterVersions=["1.34", "1.33", "2.0"]) == ["1.33", "1.34"]
    assert listed(eks, clusterVersions=["1.34"], defaultOnly=True) == []
    assert listed(eks, versionStatus="EXTENDED_SUPPORT") == listed(eks, status="unsupported") == []
    assert listed(eks, clusterType="connected") == []


def test_what_is_no_filter_has_its_error(eks):
    for name, value in (
        ("versionStatus", "standard-support"),
        ("status", "STANDARD_SUPPORT"),
        ("nextToken", "AAAA"),
        ("maxResults", 101),
    ):
        with refused(eks, "InvalidParameterException", name):
            eks.describe_cluster_versions(**{name: value})


def test_they_are_weighed_as_an_action_of_their_own(hub, eks):
    ana, eve = hub.create_user("ana"), hub.create_user("eve")
    let(hub, ana.name, {"Effect": "Allow", "Action": "eks:DescribeClusterVersions", "Resource": "*"})
    # What the access policies are listed by opens nothing else.
    let(hub, eve.name, {"Effect": "Allow", "Action": "eks:ListAccessPolicies", "Resource": "*"})
    theirs, others = Wire(hub, ana.credentials).eks, Wire(hub, eve.credentials).eks
    assert listed(theirs) == listed(eks)
    with refused(theirs, "AccessDeniedException", "eks:ListAccessPolicies", 403):
        theirs.list_access_policies()
    with refused(others, "AccessDeniedException", "is not authorized to perform: eks:DescribeClusterVersions", 403):
        others.describe_cluster_versions()
    assert others.list_access_policies()["accessPolicies"]
