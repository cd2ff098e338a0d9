"""What a peer's certificate says, trusted or not."""

import ssl
from functools import lru_cache
from typing import NamedTuple

from otelhealth.errors import ProbeError

_MOST_NAMES = 20


def prepare() -> None:
    """Load what reading certificates needs: done when a check is configured, it does not hold up the loop later."""
    from cryptography import x509  # noqa: F401, PLC0415 - 8 MB and 60 ms that only kinds which read certificates need


class Certificate(NamedTuple):
    """Of a server: times in Unix seconds, names as they stand in it (the first 20)."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: float
    not_after: float
    serial: str


def peer_certificate(peer: ssl.SSLObject) -> Certificate:
    """The server's own certificate; raises ProbeError where it gave none or one that cannot be read."""
    encoded = peer.getpeercert(binary_form=True)
    if encoded is None:
        raise ProbeError("tls_no_certificate", "the server has no certificate")
    try:
        return _read(encoded)
    except ValueError as error:
        raise ProbeError("tls_bad_certificate", "the server's certificate cannot be read") from error


@lru_cache(maxsize=256)
def _read(encoded: bytes) -> Certificate:
    from cryptography import x509  # noqa: PLC0415 - see `prepare`

    read = x509.load_der_x509_certificate(encoded)
    try:
        extension = read.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = [str(name.value) for name in extension.value]
    except x509.ExtensionNotFound:
        names = []
    return Certificate(
        read.subject.rfc4514_string()[:200],
        read.issuer.rfc4514_string()[:200],
        tuple(name[:253] for name in names[:_MOST_NAMES]),
        read.not_valid_before_utc.timestamp(),
        read.not_valid_after_utc.timestamp(),
        f"{read.serial_number:x}",
    )
