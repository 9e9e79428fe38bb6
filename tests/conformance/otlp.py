"""A collector on loopback: it takes spans by OTLP over gRPC, reads them by the protobuf wire format alone, and keeps every byte."""

from __future__ import annotations

import pathlib
import struct
import threading
import time
from concurrent import futures
from dataclasses import dataclass, field

import grpc

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
SEEN_SECONDS_MAX = 20
POLL_SECONDS = 0.05
KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


@dataclass(frozen=True)
class Span:
    """One span, with the process that it is of."""

    service: str
    instance: str
    trace: str
    id: str
    parent: str
    name: str
    kind: str
    begun: int
    ended: int
    attributes: dict
    failed: bool


@dataclass
class Collector:
    """Keeps what it is sent, in order of arrival."""

    headers: list[dict] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def start(self, *, key_and_chain: pathlib.Path | None = None, clients: pathlib.Path | None = None) -> Collector:
        """Over TLS with a key and chain of its own; `clients` is the authority of those who may send."""

        def export(message: bytes, context: grpc.ServicerContext) -> bytes:
            with self._lock:
                self.raw.append(message)
                self.headers.append(dict(context.invocation_metadata()))
            return b""

        self._lock = threading.Lock()
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        service, method = METHOD[1:].split("/")
        handler = grpc.unary_unary_rpc_method_handler(export)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        if key_and_chain:
            own, roots = key_and_chain.read_bytes(), clients.read_bytes() if clients else None
            tls = grpc.ssl_server_credentials([(own, own)], roots, require_client_auth=roots is not None)
            self.endpoint = f"https://localhost:{self._server.add_secure_port('127.0.0.1:0', tls)}"
        else:
            self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        return self

    def stop(self) -> None:
        self._server.stop(None).wait()

    def spans(self) -> list[Span]:
        with self._lock:
            return [span for message in self.raw for span in spans_of(message)]

    def wait_for(self, what: str, found, *, of: str = "") -> list[Span]:
        """What `found` makes of the spans, as soon as that is something. `of` is the trace that it is about."""
        deadline = time.monotonic() + SEEN_SECONDS_MAX
        while not (seen := found(self.spans())):
            there = [span for span in self.spans() if of in ("", span.trace)]
            names = sorted({f"{span.service} {span.name} ({span.kind} {span.id} of {span.parent})" for span in there})
            assert time.monotonic() < deadline, f"{what} did not come; there are {names}"
            time.sleep(POLL_SECONDS)
        return seen


def spans_of(message: bytes) -> list[Span]:
    """The spans of an ExportTraceServiceRequest."""
    spans = []
    for resource_spans in all_of(message, 1):
        process = attributes(first(resource_spans, 1), 1)
        for scope_spans in all_of(resource_spans, 2):
            spans += [span_of(span, process) for span in all_of(scope_spans, 2)]
    return spans


def span_of(span: bytes, process: dict) -> Span:
    return Span(
        service=process["service.name"],
        instance=process["service.instance.id"],
        trace=first(span, 1).hex(),
        id=first(span, 2).hex(),
        parent=first(span, 4).hex(),
        name=first(span, 5).decode(),
        kind=KINDS[first(span, 6, 0)],
        begun=first(span, 7, 0),
        ended=first(span, 8, 0),
        attributes=attributes(span, 9),
        failed=first(first(span, 15), 3, 0) == 2,
    )


def attributes(message: bytes, number: int) -> dict:
    pairs = {}
    for pair in all_of(message, number):
        value = first(pair, 2)
        text, integer = first(value, 1, None), first(value, 3, None)
        pairs[first(pair, 1).decode()] = text.decode() if text is not None else integer
    return pairs


def all_of(message: bytes, number: int) -> list:
    return [value for at, value in fields(message) if at == number]


def first(message: bytes, number: int, otherwise=b""):
    return next(iter(all_of(message, number)), otherwise)


def fields(message: bytes):
    """Numbers and values of a message: integers, fixed numbers, and bytes."""
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = varint(message, at)
        elif wire == 1:
            value, at = struct.unpack_from("<Q", message, at)[0], at + 8
        elif wire == 2:
            length, at = varint(message, at)
            value, at = message[at : at + length], at + length
        elif wire == 5:
            value, at = struct.unpack_from("<I", message, at)[0], at + 4
        else:
            raise ValueError(f"wire type {wire}")
        yield number, value


def varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value, at, shift = value | (byte & 0x7F) << shift, at + 1, shift + 7
        if byte < 0x80:
            return value, at
