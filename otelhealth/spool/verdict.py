"""What a response means for a request: delivered, to be held and sent again, to be split, or undeliverable.

3xx is no delivery and never followed: the official exporters take it for one, and lose.
"""

from __future__ import annotations

import socket
import ssl
from enum import Enum
from typing import NamedTuple
from urllib.parse import urlsplit

from otelhealth.checks.tls import tls_error
from otelhealth.spool.connection import Response

MOST_PAUSE = 3600.0  # s that a receiver may ask for
_HELD = frozenset({401, 403, 404, 407, 408, 429})  # of 4xx; all others mean this one request
REFUSES_GZIP = frozenset({400, 415})
_REMEDIES = {
    401: "check the credentials in telemetry.otlp.headers",
    403: "let these credentials write there, or send others in telemetry.otlp.headers",
    404: "check the path: telemetry.otlp.endpoint is the base URL, and /v1/<signal> is added to it",
    407: "give the proxy's credentials in HTTP_PROXY or HTTPS_PROXY",
    413: "raise the receiver's limit on the size of a request",
    415: "set telemetry.otlp.compression: none, or look at what the receiver takes",
    429: "send less, or raise the receiver's limit",
    503: "see why the receiver is overloaded or not ready",
}
_TLS_REMEDIES = {
    "tls_expired": "renew it, or set the clock of this machine right",
    "tls_not_yet_valid": "set the clock of this machine right, or wait",
    "tls_hostname_mismatch": "name the receiver in telemetry.otlp.endpoint as its certificate does",
    "tls_untrusted": "name the authority that signed it in telemetry.otlp.certificate",
    "tls_handshake": "see the receiver's log; where it wants a certificate of ours, set or renew "
    "telemetry.otlp.client_certificate and client_key",
}
_NO_TLS = "write http:// in telemetry.otlp.endpoint, or let the receiver speak TLS"
# what Go's servers (the Collector), nginx and Apache answer to HTTP where they speak TLS
_WANTS_TLS = (b"HTTP request to an HTTPS server", b"HTTP request was sent to HTTPS port", b"HTTP to an SSL-enabled")
_REFUSED = "start the receiver, or mend telemetry.otlp.endpoint"
_NO_NAMES = "see why the name servers in /etc/resolv.conf do not answer"
_SLOW = "see why the receiver is slow, or raise telemetry.otlp.timeout"
_REFUSES = "see in the receiver's log why it refuses this request"
_BROKEN = "look at the receiver's log"


class Fate(Enum):
    """Of one request after one attempt."""

    SENT = "sent"
    HELD = "held"
    SPLIT = "split"
    POISON = "poison"


class Verdict(NamedTuple):
    """`error_type` is of low cardinality, `pause` what the receiver asks for in seconds, `rejected` in items."""

    fate: Fate
    error_type: str = ""
    said: str = ""
    remedy: str = ""
    pause: float = 0.0
    rejected: int = 0


def of_response(response: Response) -> Verdict:
    """Of a whole response other than 2xx."""
    status = response.status
    said = f"the receiver answered {status}"
    if 300 <= status < 400:
        where = _host(response.headers.get("location", "")) or "not said"
        remedy = f"set telemetry.otlp.endpoint to where it points ({where}); it is not followed"
        return Verdict(Fate.HELD, str(status), said, remedy)
    if status == 400 and any(words in response.body for words in _WANTS_TLS):
        return Verdict(
            Fate.HELD, "tls_wanted", "the receiver speaks TLS only", "write https:// in telemetry.otlp.endpoint"
        )
    if status == 413:
        return Verdict(Fate.SPLIT, "413", said, _REMEDIES[413])
    if status < 300 or status >= 500 or status in _HELD:
        pause = min(response.retry_after(), MOST_PAUSE)
        return Verdict(Fate.HELD, str(status), said, _REMEDIES.get(status, _BROKEN), pause)
    return Verdict(Fate.POISON, str(status), said, _REMEDIES.get(status, _REFUSES))


def of_error(error: OSError, peer: str, timeout: float) -> Verdict:
    """Of an attempt without a whole answer of `peer`."""
    if isinstance(error, TimeoutError):
        return Verdict(Fate.HELD, "timeout", f"no whole answer from {peer} within {timeout:g} s", _SLOW)
    if isinstance(error, ConnectionRefusedError):
        return Verdict(Fate.HELD, "connection_refused", f"{peer} refuses the connection", _REFUSED)
    if isinstance(error, ssl.SSLError):
        found = tls_error(error, "the receiver")
        remedy = _NO_TLS if error.reason == "WRONG_VERSION_NUMBER" else _TLS_REMEDIES[found.error_type]
        return Verdict(Fate.HELD, found.error_type, found.sentence, remedy)
    if isinstance(error, socket.gaierror):
        return _without_address(error, peer)
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return Verdict(Fate.HELD, "connection_reset", f"{peer} closed the connection", _BROKEN)
    return Verdict(Fate.HELD, "connection_error", str(error) or type(error).__name__, _BROKEN)


def _without_address(error: socket.gaierror, peer: str) -> Verdict:
    if error.errno == socket.EAI_AGAIN:
        said = f"the name of {peer} cannot be looked up ({error.strerror})"
        return Verdict(Fate.HELD, "dns_timeout", said, _NO_NAMES)
    return Verdict(Fate.HELD, "dns_error", f"the name of {peer} is not known ({error.strerror})", _REFUSED)


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
