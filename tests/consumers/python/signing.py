"""Signs gRPC calls to a Lanyard hub: AWS Signature Version 4, as service `lanyard`. Needs grpcio and nothing else."""

import datetime
import hashlib
import hmac
import uuid
from dataclasses import dataclass


@dataclass(frozen=True)
class Signer:
    """Whose calls they are, and for which hub: `Explain.Hub`, which needs no signature, tells its id and region."""

    access_key_id: str
    secret_access_key: str
    region: str
    hub_id: str
    authority: str  # host:port, as the channel addresses it
    session_token: str | None = None

    def metadata(self, path: str, message: bytes) -> list[tuple[str, str]]:
        """What signs one message to one method, such as `/lanyard.mapping.v1.Clusters/ListClusters`, for five minutes."""
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(message).hexdigest()
        headers = {"host": self.authority, "x-amz-content-sha256": digest, "x-amz-date": now}
        if self.session_token:
            headers["x-amz-security-token"] = self.session_token
        headers |= {"x-lanyard-hub-id": self.hub_id, "x-lanyard-nonce": str(uuid.uuid4())}
        signed = ";".join(headers)  # in the order of the alphabet, as they stand above
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = "\n".join(["POST", path, "", lines, signed, digest])
        scope = f"{now[:8]}/{self.region}/lanyard/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(request.encode()).hexdigest()])
        key = b"AWS4" + self.secret_access_key.encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        scheme = f"AWS4-HMAC-SHA256 Credential={self.access_key_id}/{scope}, SignedHeaders={signed}, Signature={signature}"
        del headers["host"]  # gRPC sends it by itself
        return [*headers.items(), ("authorization", scheme)]


class SignedChannel:
    """A channel for generated stubs, whose calls are signed: `EntriesStub(SignedChannel(channel, signer))`."""

    def __init__(self, channel, signer: Signer):
        self._channel, self._signer = channel, signer

    def unary_unary(self, path, request_serializer=None, response_deserializer=None, **_):
        # What is sent is what was signed, byte for byte.
        return SignedMethod(self._channel.unary_unary(path, None, response_deserializer), path, self._signer)

    def unary_stream(self, path, request_serializer=None, response_deserializer=None, **_):
        send = self._channel.unary_stream(path, None, response_deserializer)
        # A timeout is of the whole stream: without one it goes on until its signature ends.
        return SignedMethod(send, path, self._signer, timeout=None)


class SignedMethod:
    """One method. Call it with a request; or `sign` a request, and send it as often as the network makes it necessary."""

    def __init__(self, send, path: str, signer: Signer, timeout: float | None = 10):
        self._send, self._path, self._signer, self._timeout = send, path, signer, timeout

    def __call__(self, request, **timeout):
        return self.sign(request)(**timeout)

    def sign(self, request):
        message = request.SerializeToString(deterministic=True)
        metadata = self._signer.metadata(self._path, message)
        return lambda timeout=self._timeout: self._send(message, timeout=timeout, metadata=metadata)
