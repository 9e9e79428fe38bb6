"""What a program does with a hub: finds it, signs, changes an entry, asks, watches, and reads errors. Prints what it saw, as JSON.

The code below `lanyard` is generated from the protos (`python -m grpc_tools.protoc`).
"""

import argparse
import json
import os
import pathlib

import grpc
from google.protobuf import empty_pb2, field_mask_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from signing import SignedChannel, Signer

from lanyard.authz.v1 import authz_pb2, authz_pb2_grpc
from lanyard.call.v1 import call_pb2
from lanyard.gateway.v1 import gateway_pb2_grpc
from lanyard.mapping.v1 import clusters_pb2, clusters_pb2_grpc, entries_pb2, entries_pb2_grpc, resolve_pb2

VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"


class Consumer:
    def __init__(self, ready: dict, cluster: str, principal: str):
        self.cluster, self.principal = cluster, principal
        authority = ready["grpc"].removeprefix("https://")
        roots = grpc.ssl_channel_credentials(pathlib.Path(ready["ca"]).read_bytes())
        self.channel = grpc.secure_channel(authority, roots)
        # The one call that needs no signature: signing needs its answer.
        self.hub = gateway_pb2_grpc.ExplainStub(self.channel).Hub(empty_pb2.Empty(), timeout=10)
        signer = Signer(
            access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
            secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
            session_token=os.environ.get("AWS_SESSION_TOKEN"),
            region=self.hub.region,
            hub_id=self.hub.hub_id,
            authority=authority,
        )
        signed = SignedChannel(self.channel, signer)
        self.clusters = clusters_pb2_grpc.ClustersStub(signed)
        self.entries = entries_pb2_grpc.EntriesStub(signed)
        self.authorize = authz_pb2_grpc.AuthorizeStub(signed)

    def run(self) -> dict:
        described = self.clusters.DescribeCluster(clusters_pb2.DescribeClusterRequest(cluster=self.cluster))
        entry, revisions = self.create_entry()
        self.entries.AssociateAccessPolicy(
            entries_pb2.AssociateAccessPolicyRequest(
                cluster=self.cluster,
                principal_arn=self.principal,
                policy_arn=VIEW,
                scope=entries_pb2.AccessScope(
                    namespaces=entries_pb2.AccessScope.Namespaces(names=["team-a"])
                ),
            )
        )
        masked = self.entries.UpdateAccessEntry(
            entries_pb2.UpdateAccessEntryRequest(
                cluster=self.cluster,
                principal_arn=self.principal,
                groups=call_pb2.Strings(values=["not-written"]),
                update_mask=field_mask_pb2.FieldMask(paths=["ends_at"]),
            )
        ).entry.entry
        assert masked.groups == entry.groups and masked.username == entry.username, f"{entry} {masked}"
        return {
            "hub_id": self.hub.hub_id,
            "cluster_uid": described.uid,
            "entry_id": entry.id,
            "revisions": revisions,
            "principals": self.principals(),
            "verdicts": self.verdicts(described.uid, entry),
            "watched": self.watched(),
            "errors": self.errors(),
        }

    def create_entry(self):
        """Makes the entry and sends the very same call again, as a program does that got no answer: it is made once."""
        call = self.entries.CreateAccessEntry.sign(
            entries_pb2.CreateAccessEntryRequest(
                mutation=call_pb2.Mutation(reason="the consumer's test"),
                cluster=self.cluster,
                principal_arn=self.principal,
                groups=["devs"],
                tags={"team": "a", "made-by": "consumer"},
            )
        )
        first, again = call(), call()
        assert first.entry == again.entry, f"{first} {again}"
        return first.entry.entry, [first.mutated.revision, again.mutated.revision]

    def principals(self) -> list[str]:
        """All entries, a page of two at a time."""
        principals, token = [], ""
        while True:
            page = self.entries.ListAccessEntries(
                entries_pb2.ListAccessEntriesRequest(
                    cluster=self.cluster, page=call_pb2.PageQuery(items_max=2, token=token)
                )
            )
            assert len(page.items) <= 2
            principals += [item.entry.principal_arn for item in page.items]
            if not page.HasField("next_token"):
                return principals
            token = page.next_token

    def verdicts(self, uid: str, entry) -> list[str]:
        """Three questions about the bearer of the entry, in one call."""

        def review(verb: str, namespace: str) -> authz_pb2.Review:
            resource = authz_pb2.ResourceAttributes(verb=verb, resource="pods", version="v1", namespace=namespace)
            return authz_pb2.Review(
                cluster_uid=uid,
                attributes=authz_pb2.Attributes(resource=resource),
                entry_id=entry.id,
            )

        reviews = [review("get", "team-a"), review("delete", "team-a"), review("get", "team-b")]
        user = resolve_pb2.UserInfo(username=entry.username, groups=entry.groups)
        answer = self.authorize.AuthorizeBatch(authz_pb2.AuthorizeBatchRequest(user=user, reviews=reviews))
        return [authz_pb2.Verdict.Name(decision.verdict) for decision in answer.decisions]

    def watched(self) -> str:
        """The first event of a watch on the entries, which ends with it."""
        watch = self.entries.WatchAccessEntries(entries_pb2.WatchAccessEntriesRequest(cluster=self.cluster))
        event = next(watch)
        # It would go on: the signature bounds it, and no deadline.
        assert watch.time_remaining() is None
        watch.cancel()
        return entries_pb2.AccessEntryEvent.Kind.Name(event.kind)

    def errors(self) -> dict:
        def create(principal: str, groups: list[str]):
            request = entries_pb2.CreateAccessEntryRequest(
                cluster=self.cluster, principal_arn=principal, groups=groups
            )
            return lambda: self.entries.CreateAccessEntry(request)

        unsigned = entries_pb2_grpc.EntriesStub(self.channel)
        return {
            "exists": error_of(create(self.principal, [])),
            "field": error_of(create(self.principal + "-other", ["system:masters"])),
            "malformed": error_of(
                lambda: self.clusters.DescribeCluster(clusters_pb2.DescribeClusterRequest(cluster="no/cluster"))
            ),
            "unsigned": error_of(
                lambda: unsigned.ListAccessEntries(
                    entries_pb2.ListAccessEntriesRequest(cluster=self.cluster), timeout=10
                )
            ),
        }


def error_of(call) -> dict:
    """The code of an error, and what its details say."""
    try:
        call()
    except grpc.RpcError as error:
        told = {"code": error.code().name}
        for detail in rpc_status.from_call(error).details:
            info, wrong = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if detail.Unpack(info):
                told |= {"reason": info.reason, "domain": info.domain, "kind": info.metadata.get("kind", "")}
            if detail.Unpack(wrong):
                told["field"] = wrong.field_violations[0].field
        return told
    raise AssertionError("it was not refused")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for flag in ("--ready-file", "--cluster", "--principal"):
        parser.add_argument(flag, required=True)
    given = parser.parse_args()
    ready = json.loads(pathlib.Path(given.ready_file).read_text())
    print(json.dumps(Consumer(ready, given.cluster, given.principal).run()))
