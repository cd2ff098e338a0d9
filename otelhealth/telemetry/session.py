"""The official exporters' `session=`: what the SDK encoded for user code leaves through our own senders."""

from __future__ import annotations

from collections.abc import Mapping

import requests
from requests.adapters import BaseAdapter

from otelhealth.telemetry.export import Ledger
from otelhealth.telemetry.sender import Sender


class SenderAdapter(BaseAdapter):
    """Answers 200 to every request: retries, counts and the one log line are the sender's and the ledger's."""

    def __init__(self, sender: Sender, ledger: Ledger) -> None:
        super().__init__()
        self._sender = sender
        self._ledger = ledger

    def send(  # noqa: PLR0913, PLR0917 - requests' own
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002 - the base class names it
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,  # noqa: ARG002 - the base class names it
        verify: bool | str = True,  # noqa: ARG002 - the base class names it
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,  # noqa: ARG002 - the base class names it
        proxies: Mapping[str, str] | None = None,  # noqa: ARG002 - the base class names it
    ) -> requests.Response:
        body = request.body or b""
        self._ledger.enter(self._sender.send(body.encode() if isinstance(body, str) else bytes(body)), 1)
        response = requests.Response()
        response.status_code = 200
        response.request = request
        response.url = request.url or ""
        return response

    def close(self) -> None:
        """The sender is the agent's and stays open."""


def session_over(sender: Sender, ledger: Ledger) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # proxies and certificates are the sender's concern
    session.mount("http://", SenderAdapter(sender, ledger))
    return session
