"""The official exporters' `session=`: what the SDK encoded for user code leaves through our own senders."""

from __future__ import annotations

from collections.abc import Mapping

import requests
from requests.adapters import BaseAdapter

from otelhealth.telemetry.sender import Sender


class SenderAdapter(BaseAdapter):
    """Answers 200 to every request: delivery, counts and the one log line are the sender's."""

    def __init__(self, sender: Sender) -> None:
        super().__init__()
        self._sender = sender

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
        self._sender.send(body.encode() if isinstance(body, str) else bytes(body), 0)
        response = requests.Response()
        response.status_code = 200
        response.request = request
        response.url = request.url or ""
        return response

    def close(self) -> None:
        """The sender is the agent's and stays open."""


def session_over(sender: Sender) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # proxies and certificates are the sender's concern
    session.mount("http://", SenderAdapter(sender))
    return session
