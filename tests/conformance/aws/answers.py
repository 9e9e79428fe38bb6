"""Answers and errors of the AWS wire held against the services' models, from the bytes that came: no member that the model has not,
none missing that it requires, each of its type and length."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree

import botocore.model

import operations

# Errors that any operation may give, whether or not its model names them (the services' pages on common errors); EKS names none
# for a parameter that breaks the model's own constraint.
COMMON = {
    "eks": {
        "AccessDeniedException": 403,
        "ExpiredTokenException": 403,
        "InvalidParameterException": 400,
        "InvalidSignatureException": 403,
        "RequestEntityTooLargeException": 413,
        "ThrottlingException": 429,
        "UnrecognizedClientException": 403,
    },
    "query": {
        "AccessDenied": 403,
        "ExpiredToken": 403,
        "InvalidClientTokenId": 403,
        "SignatureDoesNotMatch": 403,
        "Throttling": 400,
        "ValidationError": 400,
    },
}
# An error that the model forgets for one operation: of a request token with other parameters, which is the same for all.
BESIDE_THE_MODEL = {("eks:CreateCluster", "InvalidRequestException")}
# 2026-11-28T23:30:00Z, as the Query protocol writes a time.
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def judge(http_response, parsed, model: botocore.model.OperationModel, **_) -> None:
    """A hook for `after-call`."""
    seen = operations.seen(operations.name_of(model))
    is_rest = model.service_model.protocol == "rest-json"
    number = parsed["ResponseMetadata"]["RequestId"]
    assert number and number == http_response.headers["x-amzn-requestid"]
    if http_response.status_code >= 300:
        seen.errors.add(parsed["Error"]["Code"])
        (rest_error if is_rest else query_error)(http_response, parsed, model)
        return
    assert http_response.status_code == model.http.get("responseCode", 200)
    (rest_answer if is_rest else query_answer)(http_response, model)
    seen.ok = True


# REST-JSON


def rest_answer(http_response, model: botocore.model.OperationModel) -> None:
    assert http_response.headers["content-type"] == "application/json"
    members("$", json.loads(http_response.content), model.output_shape)


def rest_error(http_response, parsed, model: botocore.model.OperationModel) -> None:
    code, status, body = parsed["Error"]["Code"], http_response.status_code, json.loads(http_response.content)
    assert body["message"] == parsed["Error"]["Message"] != "", body
    shape = documented(code, status, model)
    if shape is not None:
        members(code, body, shape)


def members(place: str, value, shape: botocore.model.Shape) -> None:
    """JSON of a shape."""
    if shape.type_name == "structure":
        assert isinstance(value, dict), f"{place} is {value!r}"
        names = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        for name, inner in value.items():
            assert name in names, f"{place}.{name} is not in the model"
            assert inner is not None, f"{place}.{name} is null"
            members(f"{place}.{name}", inner, names[name])
        missing = [name for name in shape.required_members if name not in value]
        assert not missing, f"{place} lacks {missing}"
    elif shape.type_name == "list":
        assert isinstance(value, list), f"{place} is {value!r}"
        within(place, len(value), shape)
        for number, inner in enumerate(value):
            members(f"{place}[{number}]", inner, shape.member)
    elif shape.type_name == "map":
        assert isinstance(value, dict), f"{place} is {value!r}"
        for key, inner in value.items():
            members(f"{place} (key)", key, shape.key)
            members(f"{place}.{key}", inner, shape.value)
    elif shape.type_name == "timestamp":
        assert isinstance(value, int | float) and value > 1_600_000_000, f"{place} is {value!r}"
    elif shape.type_name == "boolean":
        assert isinstance(value, bool), f"{place} is {value!r}"
    elif shape.type_name in ("integer", "long"):
        assert isinstance(value, int) and not isinstance(value, bool), f"{place} is {value!r}"
        within(place, value, shape)
    else:
        text(place, value, shape)


# Query


def query_answer(http_response, model: botocore.model.OperationModel) -> None:
    assert http_response.headers["content-type"] == "text/xml"
    namespace = model.service_model.metadata["xmlNamespace"]
    root = ElementTree.fromstring(http_response.content)
    assert root.tag == f"{{{namespace}}}{model.name}Response", root.tag
    parts = children("$", root, namespace)
    metadata = children("$.ResponseMetadata", parts.pop("ResponseMetadata"), namespace)
    assert list(metadata) == ["RequestId"] and metadata["RequestId"].text == http_response.headers["x-amzn-requestid"]
    if model.output_shape is None:
        assert not parts, f"the model has no answer, and there is {list(parts)}"
        return
    assert list(parts) == [model.output_shape.serialization["resultWrapper"]], list(parts)
    elements("$", *parts.values(), model.output_shape, namespace)


def query_error(http_response, parsed, model: botocore.model.OperationModel) -> None:
    code, status = parsed["Error"]["Code"], http_response.status_code
    namespace = model.service_model.metadata["xmlNamespace"]
    root = ElementTree.fromstring(http_response.content)
    assert root.tag == f"{{{namespace}}}ErrorResponse", root.tag
    parts = children("$", root, namespace)
    assert set(parts) == {"Error", "RequestId"}, list(parts)
    said = {name: part.text for name, part in children("$.Error", parts["Error"], namespace).items()}
    assert said == {"Type": "Sender", "Code": code, "Message": parsed["Error"]["Message"]}, said
    documented(code, status, model)


def children(place: str, element: ElementTree.Element, namespace: str) -> dict[str, ElementTree.Element]:
    """Each of which stands once, in the service's namespace, without attributes or text between them."""
    assert not element.attrib and not (element.text or "").strip(), f"{place} has more than elements"
    found: dict[str, ElementTree.Element] = {}
    for child in element:
        name = child.tag.removeprefix(f"{{{namespace}}}")
        assert name != child.tag, f"{place}: {child.tag} is in another namespace"
        assert name not in found, f"{place}.{name} stands twice"
        assert not (child.tail or "").strip(), f"{place}: text stands beside {name}"
        found[name] = child
    return found


def elements(place: str, element: ElementTree.Element, shape: botocore.model.Shape, namespace: str) -> None:
    """XML of a shape."""
    if shape.type_name == "structure":
        found = children(place, element, namespace)
        names = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        for name, inner in found.items():
            assert name in names, f"{place}.{name} is not in the model"
            elements(f"{place}.{name}", inner, names[name], namespace)
        missing = [name for name in shape.required_members if name not in found]
        assert not missing, f"{place} lacks {missing}"
        return
    if shape.type_name == "list":
        assert not element.attrib and not (element.text or "").strip(), f"{place} has more than elements"
        within(place, len(element), shape)
        for number, inner in enumerate(element):
            assert inner.tag == f"{{{namespace}}}member", f"{place}: {inner.tag}"
            elements(f"{place}[{number}]", inner, shape.member, namespace)
        return
    assert not element.attrib and not len(element), f"{place} is no plain value"
    value = element.text or ""
    if shape.type_name == "timestamp":
        assert MOMENT.fullmatch(value), f"{place} is {value!r}"
    elif shape.type_name == "boolean":
        assert value in ("true", "false"), f"{place} is {value!r}"
    elif shape.type_name in ("integer", "long"):
        within(place, int(value), shape)
    else:
        text(place, value, shape)


# Both


def documented(code: str, status: int, model: botocore.model.OperationModel) -> botocore.model.Shape | None:
    """The shape of an error, which the operation's model or the common errors have, with the status that they give it."""
    service = model.service_model
    own = {operations.code(shape): shape for shape in model.error_shapes}
    all_of_service = {operations.code(shape): shape for shape in service.error_shapes}
    common = COMMON["eks" if service.protocol == "rest-json" else "query"]
    operation = operations.name_of(model)
    assert code in own or code in common or (operation, code) in BESIDE_THE_MODEL, f"{operation} has no error {code}"
    shape = own.get(code) or all_of_service.get(code)
    wanted = shape.metadata.get("error", {}).get("httpStatusCode") if shape is not None else None
    assert status == (wanted or common.get(code)), f"{code} has the status {status}, the model {wanted}"
    return shape


def text(place: str, value, shape: botocore.model.Shape) -> None:
    assert isinstance(value, str), f"{place} is {value!r}"
    within(place, len(value), shape)
    if getattr(shape, "enum", None):
        assert value in shape.enum, f"{place} is {value!r}, none of {shape.enum}"


def within(place: str, size: int, shape: botocore.model.Shape) -> None:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    fits = (least is None or size >= least) and (most is None or size <= most)
    assert fits, f"{place} has {size}, the model {least} to {most}"
