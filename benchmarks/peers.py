"""The other ends, each a process of its own: targets that answer or hang, and a receiver of OTLP.

python -m benchmarks.peers {answering,hanging,receiver}
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import time
from collections.abc import Callable
from typing import Any, ClassVar, cast

import uvloop
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\nconnection: close\r\n\r\n"
    b'{"status":"ok"}'
)
TAKEN = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
_LENGTH = b"content-length:"


class Peer(asyncio.Protocol):
    """One connection; `told` answers the questions of the one who measures."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    @staticmethod
    def told(_question: Any) -> Any:
        return None


class Answering(Peer):
    """The least a target can do."""

    served = 0

    def data_received(self, _data: bytes) -> None:
        Answering.served += 1
        self.transport.write(ANSWER)
        self.transport.close()

    @staticmethod
    def told(_question: Any) -> int:
        return Answering.served


class Hanging(Peer):
    """Takes every request and answers none."""


class Receiver(Peer):
    """Keeps what was sent with the time it came, and decodes nothing until it is asked: for runs, or for times."""

    kept: ClassVar[list[tuple[str, float, bytes]]] = []

    def __init__(self) -> None:
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, rest = self._data.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        length = int(lower[lower.index(_LENGTH) + len(_LENGTH) :].split(b"\r\n", 1)[0])
        if len(rest) < length:
            return
        path = head.split(b" ", 2)[1].decode()
        Receiver.kept.append((path.rpartition("/")[2], time.time(), rest[:length] if path.endswith("traces") else b""))
        self._data = rest[length:]
        self.transport.write(TAKEN)

    @staticmethod
    def told(question: Any) -> Any:
        if question == "runs":
            return [run for signal, _, body in Receiver.kept if signal == "traces" for run in _runs(body)]
        return [at for signal, at, _ in Receiver.kept if signal == question]


def _runs(body: bytes) -> list[tuple[str, float, float]]:
    """Of each root span: the check, when it began (Unix seconds), how late (seconds)."""
    request = ExportTraceServiceRequest.FromString(gzip.decompress(body))
    found = []
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                if not span.parent_span_id:
                    told = {pair.key: pair.value for pair in span.attributes}
                    name, delay = told["otelhealth.check.name"], told["otelhealth.check.delay"]
                    found.append((name.string_value, span.start_time_unix_nano / 1e9, delay.double_value))
    return found


PEERS: dict[str, type[Peer]] = {"answering": Answering, "hanging": Hanging, "receiver": Receiver}


async def serve(kind: str) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(PEERS[kind], "127.0.0.1", 0, backlog=4096)
    answer_questions(PEERS[kind].told)
    print(json.dumps(server.sockets[0].getsockname()[1]), flush=True)
    await server.serve_forever()


def answer_questions(told: Callable[[Any], Any]) -> None:
    """Answer each line of stdin by one of stdout."""

    def one() -> None:
        if line := sys.stdin.readline():
            print(json.dumps(told(json.loads(line))), flush=True)
        else:
            loop.remove_reader(sys.stdin)

    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, one)


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
