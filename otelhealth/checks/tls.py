"""TLS of the checks: settings, contexts that are made once, failures by class, and the days a certificate has left."""

import ssl
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from otelhealth.checks import certificate
from otelhealth.errors import OtelHealthError, ProbeError
from otelhealth.settings import Settings
from otelhealth.units import LocalPath

_EXPIRED, _NOT_YET = 10, 9  # X509_V_ERR_* of OpenSSL
_WRONG_NAME = (62, 64)
_NOT_TLS = ("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG")
_MOST_SEEN = 1024


class Tls(NamedTuple):
    """How a connection is secured. Files are named, not loaded: `context` does that."""

    verify: bool = True
    ca: str | None = None
    server_name: str | None = None
    certificate: str | None = None
    key: str | None = None


class TlsOptions(Settings):
    """The TLS fields that kinds share."""

    verify_tls: bool = Field(True, description="Refuse a certificate that is expired, untrusted or of another name.")
    ca: LocalPath | None = Field(None, description="PEM file of the authorities to trust instead of the system's.")
    server_name: str | None = Field(
        None,
        max_length=253,
        pattern=r"^[A-Za-z0-9.:_-]+$",
        examples=["example.com"],
        description="Name asked for (SNI) and verified.",
    )
    client_certificate: LocalPath | None = Field(None, description="PEM file of the certificate to present.")
    client_key: LocalPath | None = Field(None, description="PEM file of its key; default: in `client_certificate`.")

    def secured(self) -> Tls:
        return Tls(self.verify_tls, self.ca, self.server_name, self.client_certificate, self.client_key)


def prepare(tls: Tls, alpn: tuple[str, ...] = ()) -> None:
    """Make the context now where that takes no files of the user's: 20 ms that the loop need not wait for later."""
    if tls.ca is None and tls.certificate is None:
        context(tls, alpn)
    if not tls.verify:
        certificate.prepare()


def context(tls: Tls, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
    """The context for these settings, made once and again when a file of theirs changed.

    Raises OtelHealthError where a file cannot be used: that is our side's trouble, not the target's.
    """
    files = [path for path in (tls.ca, tls.certificate, tls.key) if path is not None]
    try:
        return _context(tls, alpn, tuple(Path(path).stat().st_mtime_ns for path in files))
    except OSError as error:  # also ssl.SSLError
        names = ", ".join(files)
        said = error.strerror or str(error)
        raise OtelHealthError(f"the TLS files ({names}) cannot be used: {said}", "name readable PEM files") from error


@lru_cache(maxsize=256)
def _context(tls: Tls, alpn: tuple[str, ...], _changed: tuple[int, ...]) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=tls.ca)
    if not tls.verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if tls.certificate is not None:
        made.load_cert_chain(tls.certificate, tls.key)
    if alpn:
        made.set_alpn_protocols(list(alpn))
    return made


def tls_error(error: ssl.SSLError, where: str) -> ProbeError:
    """The class of a failed handshake, with OpenSSL's own reason."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message
        if error.verify_code == _EXPIRED:
            return ProbeError("tls_expired", f"the certificate of {where} has expired")
        if error.verify_code in _WRONG_NAME:
            return ProbeError("tls_hostname_mismatch", f"the certificate of {where} is of another name: {reason}")
        if error.verify_code == _NOT_YET:
            return ProbeError("tls_not_yet_valid", f"the certificate of {where} is not valid yet")
        return ProbeError("tls_untrusted", f"the certificate of {where} is not trusted: {reason}")
    reason = (error.reason or str(error)).replace("_", " ").lower()
    reason += ", as where no TLS is spoken" if error.reason in _NOT_TLS else ""
    return ProbeError("tls_handshake", f"TLS with {where} failed: {reason}")


_seen: dict[bytes, float] = {}


def not_after(peer: ssl.SSLObject) -> float | None:
    """Unix seconds at which the peer's certificate expires; None where it gave none. Read once per certificate."""
    encoded = peer.getpeercert(binary_form=True)
    if encoded is None:
        return None
    if encoded not in _seen:
        if len(_seen) >= _MOST_SEEN:
            _seen.clear()
        verified = peer.getpeercert()
        # Python decodes verified certificates only; the library for the others takes 8 MB, so it waits for one.
        _seen[encoded] = (
            ssl.cert_time_to_seconds(str(verified["notAfter"]))
            if verified
            else certificate.peer_certificate(peer).not_after
        )
    return _seen[encoded]
