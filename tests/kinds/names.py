"""A name server for tests, over UDP and TCP on one free port, made of dnspython's messages."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

Answer = Callable[[dns.message.Message, str], bytes | None]


def zone(records: dict[tuple[str, str], list[str]], **codes: dns.rcode.Rcode) -> Answer:
    """Answers from `records` by (name, type); a name's first label may name a code in `codes`; none: NXDOMAIN."""

    def answer(question: dns.message.Message, _transport: str) -> bytes:
        asked = question.question[0]
        name, kind = asked.name.to_text().rstrip("."), asked.rdtype.name
        reply = dns.message.make_response(question)
        found = records.get((name, kind))
        if (code := codes.get(name.split(".", 1)[0])) is not None:
            reply.set_rcode(code)
        elif found:
            reply.answer.append(dns.rrset.from_text(asked.name, 60, "IN", kind, *found))
        elif not any(known == name for known, _ in records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply.to_wire(want_shuffle=False)

    return answer


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, answer: Answer, seen: list[str]) -> None:
        self._answer = answer
        self._seen = seen

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._seen.append("udp")
        if (reply := self._answer(dns.message.from_wire(data), "udp")) is not None:
            self._transport.sendto(reply, addr)


@asynccontextmanager
async def name_server(answer: Answer) -> AsyncIterator[tuple[str, list[str]]]:
    """`host:port` of it, and the transports of the questions it saw."""
    seen: list[str] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            length = struct.unpack("!H", await reader.readexactly(2))[0]
            seen.append("tcp")
            if (reply := answer(dns.message.from_wire(await reader.readexactly(length)), "tcp")) is not None:
                writer.write(struct.pack("!H", len(reply)) + reply)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Datagrams(answer, seen), local_addr=("127.0.0.1", port)
    )
    try:
        yield f"127.0.0.1:{port}", seen
    finally:
        transport.close()
        server.close()
