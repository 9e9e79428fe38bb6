"""The gRPC front door for a client of another make: messages by reflection, signatures by botocore."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field

import grpc
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as AwsCredentials
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from hub import REGION, Hub
from tokens import Credentials

CALL_SECONDS_MAX = 15


@dataclass
class Answer:
    """What a call came to."""

    code: grpc.StatusCode
    details: str = ""
    message: dict = field(default_factory=dict)


class FrontDoor:
    """Unary calls to a hub, each part of which a test can get wrong."""

    def __init__(self, hub: Hub, at: str | None = None) -> None:
        """`at` is the URL of another replica, which is then asked under the name of the usual one, as behind a load balancer."""
        self.hub = hub
        self.authority = hub.ready["grpc"].removeprefix("https://")
        dialled = (at or hub.ready["grpc"]).removeprefix("https://")
        with open(hub.ca, "rb") as ca:
            trusted = grpc.ssl_channel_credentials(ca.read())
        self.channel = grpc.secure_channel(dialled, trusted, options=[("grpc.default_authority", self.authority)])
        self._pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))

    def close(self) -> None:
        self.channel.close()

    def _method(self, path: str):
        service, method = path.lstrip("/").split("/")
        return self._pool.FindServiceByName(service).FindMethodByName(method)

    def encode(self, path: str, request: dict) -> bytes:
        message = message_factory.GetMessageClass(self._method(path).input_type)()
        return json_format.ParseDict(request, message).SerializeToString()

    def sign(self, path: str, body: bytes, credentials: Credentials, **other: str) -> list[tuple[str, str]]:
        """The metadata that signs a message to a method; `other` says what to sign in place of the truth."""
        headers = {
            "host": other.get("host", self.authority),
            "x-lanyard-hub-id": other.get("hub_id", self.hub.ready["hub_id"]),
            "x-lanyard-nonce": other.get("nonce", str(uuid.uuid4())),
            "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
        }
        request = AWSRequest("POST", f"https://{headers['host']}{path}", headers=headers, data=body)
        keys = AwsCredentials(credentials.access_key_id, credentials.secret, credentials.session_token)
        SigV4Auth(keys, other.get("service", "lanyard"), other.get("region", REGION)).add_auth(request)
        return [(name.lower(), value) for name, value in request.headers.items() if name.lower() != "host"]

    def send(self, path: str, body: bytes, metadata: list[tuple[str, str]]) -> Answer:
        call = self.channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)
        try:
            answer = call(body, metadata=metadata, timeout=CALL_SECONDS_MAX)
        except grpc.RpcError as error:
            return Answer(error.code(), error.details())
        message = message_factory.GetMessageClass(self._method(path).output_type)()
        message.ParseFromString(answer)
        return Answer(
            grpc.StatusCode.OK, message=json_format.MessageToDict(message, preserving_proto_field_name=True)
        )

    def call(self, path: str, request: dict, credentials: Credentials, **other: str) -> Answer:
        body = self.encode(path, request)
        return self.send(path, body, self.sign(path, body, credentials, **other))
