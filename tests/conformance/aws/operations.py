"""The operations of the AWS wire, what a run has seen of each, and what it has to have seen."""

from __future__ import annotations

import functools
import pathlib
import re
from dataclasses import dataclass, field

import botocore.model
import botocore.session

DOCUMENT = pathlib.Path(__file__).parents[3] / "docs" / "aws-compatibility.md"
SERVICES = ("eks", "eks-auth", "sts", "iam")

# Operations that no service of AWS's has: Lanyard's own (`aws_wire::OWN_OPERATIONS`).
OWN = frozenset({"sts:GetCallerPolicies"})

# Errors of the models that no operation gives for a reason of its own.
NEVER = {
    "ClientException": "who may not is told AccessDeniedException",
    "ServerException": "a fault",
    "InternalServerException": "a fault",
    "ServiceUnavailableException": "a fault",
    "ServiceFailure": "a fault",
    "ThrottlingException": "of load, and of a signature that comes twice: immunity_46 sees it",
    "UnsupportedAvailabilityZoneException": "clusters run elsewhere",
    "RegionDisabledException": "a region that is none is a wrong signature",
    "ConcurrentModification": "writes wait for each other",
    "InvalidContextAssertion": "contexts are not taken",
    "OpenIdIdpCommunicationError": "an issuer is called when a token of it comes",
}
# The same of one operation.
NOT_OF = {
    "eks:UpdateClusterConfig": {"ResourceInUseException": "a cluster is never being updated"},
    "eks:DeleteCluster": {
        "ResourceInUseException": "a cluster has no nodes here",
        "InvalidRequestException": "a cluster has no state in which it stays",
    },
    "eks:DescribeClusterVersions": {"InvalidRequestException": "they can always be read"},
    "eks:DisassociateIdentityProviderConfig": {"ResourceInUseException": "none is being associated"},
    "eks:DescribePodIdentityAssociation": {"InvalidRequestException": "it can always be read"},
    "eks:ListPodIdentityAssociations": {"InvalidRequestException": "they can always be read"},
    "eks:DeletePodIdentityAssociation": {"InvalidRequestException": "it can always go"},
    "sts:AssumeRole": {"ExpiredTokenException": "of contexts; of the caller's own session it is ExpiredToken"},
    "iam:DeleteUser": {"LimitExceeded": "nothing grows"},
    "iam:ListAttachedUserPolicies": {"InvalidInput": "there are none"},
    "iam:ListAttachedRolePolicies": {"InvalidInput": "there are none"},
    "iam:UpdateAccessKey": {"LimitExceeded": "nothing grows"},
    "iam:DeleteAccessKey": {"LimitExceeded": "nothing grows"},
    "iam:DeleteUserPolicy": {"LimitExceeded": "nothing grows"},
    "iam:DeleteRolePolicy": {"LimitExceeded": "nothing grows"},
    "iam:DeleteRole": {"LimitExceeded": "nothing grows", "UnmodifiableEntity": "what is in the way is DeleteConflict"},
    "iam:UpdateRole": {"InvalidInput": "a wrong description is ValidationError", "UnmodifiableEntity": "no lockout comes of it"},
    "iam:UpdateRoleDescription": {"UnmodifiableEntity": "no lockout comes of it"},
    "iam:AddRoleToInstanceProfile": {
        "EntityAlreadyExists": "a second role is LimitExceeded, whichever it is",
        "UnmodifiableEntity": "no role is a service's own",
    },
    "iam:RemoveRoleFromInstanceProfile": {"LimitExceeded": "nothing grows", "UnmodifiableEntity": "no role is a service's own"},
    "iam:DeleteInstanceProfile": {"LimitExceeded": "nothing grows"},
    "iam:UntagInstanceProfile": {"InvalidInput": "a key that is not there is none to take off"},
}


@dataclass
class Seen:
    """What some test has seen of an operation."""

    ok: bool = False
    # Codes.
    errors: set[str] = field(default_factory=set)
    # An SDK's paginator has turned all its pages.
    paginated: bool = False
    # The same request with the same token had the first answer, another one was refused.
    counted_once: bool = False


SEEN: dict[str, Seen] = {}


def seen(operation: str) -> Seen:
    return SEEN.setdefault(operation, Seen())


def name_of(model: botocore.model.OperationModel) -> str:
    return f"{model.service_model.service_name}:{model.name}"


@functools.cache
def _session():
    return botocore.session.get_session()


@functools.cache
def listed() -> dict[str, botocore.model.OperationModel]:
    """The operations that the documentation promises."""
    section = DOCUMENT.read_text().split("\n## Operations\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in row.split("|")[1:3]] for row in section.splitlines() if row.startswith("| ")]
    found, service = {}, None
    for said, words in rows:
        service = said.lower() or service
        if service in SERVICES:
            model = _session().get_service_model(service)
            names = set(re.findall(r"\w+", words)) & set(model.operation_names)
            found |= {f"{service}:{name}": model.operation_model(name) for name in names}
    return found


@functools.cache
def listed_as_own() -> frozenset[str]:
    """The operations that the documentation calls Lanyard's own."""
    section = DOCUMENT.read_text().split("\n## Operations\n")[1].split("\n## ")[0]
    rows = section.split("| own operation |")[1].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.split("|")[1:3]] for row in rows]
    return frozenset(f"{of.split(',')[0].lower()}:{name}" for name, of in cells)


def of_models() -> set[str]:
    """All operations of AWS's that its models have."""
    models = {service: _session().get_service_model(service) for service in SERVICES}
    return {f"{service}:{name}" for service, model in models.items() for name in model.operation_names}


@functools.cache
def paginated() -> frozenset[str]:
    """Those of them for which SDKs have a paginator."""
    of = {service: _session().get_paginator_model(service) for service in ("eks", "iam")}
    return frozenset(
        name for name, model in listed().items() if (own := of.get(name.split(":")[0])) and _has(own, model.name)
    )


def _has(paginators, operation: str) -> bool:
    try:
        return bool(paginators.get_paginator(operation))
    except ValueError:
        return False


@functools.cache
def with_token() -> frozenset[str]:
    """Those of them that take a token by which a request counts once."""
    return frozenset(name for name, model in listed().items() if model.idempotent_members)


def code(shape: botocore.model.Shape) -> str:
    """The code of an error's shape."""
    return shape.metadata.get("error", {}).get("code", shape.name)


def expected_errors(operation: str) -> set[str]:
    """The errors that the model has of an operation and that a rule here gives."""
    own = {code(shape) for shape in listed()[operation].error_shapes}
    return own - set(NEVER) - set(NOT_OF.get(operation, {}))


def table() -> list[str]:
    """Operation × {ok, errors, pagination, idempotency}: what is promised and what some test has seen of it."""
    columns = ("ok", "errors", "pagination", "idempotency")
    lines = [f"{'operation':44}" + "".join(f"{column:>13}" for column in columns)]

    def mark(wanted: bool, there: bool) -> str:
        return ("yes" if there else "NOT SEEN") if wanted else "none"

    for operation in sorted(listed()):
        own, wanted = seen(operation), expected_errors(operation)
        cells = (
            mark(True, own.ok),
            f"{len(wanted & own.errors)} of {len(wanted)}" if wanted else "none",
            mark(operation in paginated(), own.paginated),
            mark(operation in with_token(), own.counted_once),
        )
        lines.append(f"{operation:44}" + "".join(f"{cell:>13}" for cell in cells))
    return lines
