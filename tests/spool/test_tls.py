"""Certificates that do not fit, on either side: what is said of them, and that the request is kept."""

from __future__ import annotations

import datetime as dt
import socket
import threading
from pathlib import Path

import pytest
import trustme

from otelhealth.errors import OtelHealthError
from otelhealth.spool.connection import Connection
from otelhealth.spool.settings import Otlp
from otelhealth.spool.verdict import Fate
from tests.spool.secure import SecureReceiver
from tests.spool.test_post import SENT, letter, post

BEGIN = dt.datetime(2020, 1, 1)  # noqa: DTZ001 - as trustme wants it
HERE = "127.0.0.1"


def write(folder: Path, name: str, certificate: trustme.LeafCert) -> dict[str, Path]:
    """The settings that name its files."""
    pem, key = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.cert_chain_pems[0].write_to_path(pem)
    certificate.private_key_pem.write_to_path(key)
    return {"client_certificate": pem, "client_key": key}


def test_a_receiver_with_a_certificate_of_its_own_is_checked_against_the_named_ca(secure: SecureReceiver) -> None:
    trusting = post(secure.endpoint, certificate=secure.ca)
    assert trusting.attempt(letter()) == SENT
    trusting.close()


@pytest.mark.parametrize(
    ("wrong", "error_type", "remedy"),
    [
        ("expired", "tls_expired", "renew it"),
        ("of tomorrow", "tls_not_yet_valid", "set the clock of this machine right"),
        ("of another host", "tls_hostname_mismatch", "as its certificate does"),
        ("of another authority", "tls_untrusted", "telemetry.otlp.certificate"),
    ],
)
def test_a_certificate_of_the_receiver_that_does_not_fit_is_told_with_the_remedy(
    secure: SecureReceiver, wrong: str, error_type: str, remedy: str
) -> None:
    issue = secure.authority.issue_cert
    secure.use(
        {
            "expired": lambda: issue(HERE, not_before=BEGIN, not_after=BEGIN + dt.timedelta(days=1)),
            "of tomorrow": lambda: issue(HERE, not_before=BEGIN.replace(year=2090)),
            "of another host": lambda: issue("elsewhere.test"),
            "of another authority": lambda: trustme.CA().issue_cert(HERE),
        }[wrong]()
    )
    doubting = post(secure.endpoint, certificate=secure.ca)
    verdict = doubting.attempt(letter())
    doubting.close()
    assert (verdict.fate, verdict.error_type) == (Fate.HELD, error_type)
    assert "the certificate of the receiver " in verdict.said
    assert remedy in verdict.remedy


def test_a_receiver_that_wants_a_certificate_of_ours_gets_the_one_that_is_there_now(
    secure: SecureReceiver, tmp_path: Path
) -> None:
    clients = trustme.CA()
    secure.use(secure.authority.issue_cert(HERE), clients)
    without = post(secure.endpoint, certificate=secure.ca)
    assert without.attempt(letter()).fate is Fate.HELD
    without.close()
    told = write(tmp_path, "ours", trustme.CA().issue_cert("shop"))
    renewing = post(secure.endpoint, certificate=secure.ca, **told)
    verdict = renewing.attempt(letter())
    assert (verdict.fate, verdict.error_type) == (Fate.HELD, "tls_handshake")
    assert "telemetry.otlp.client_certificate" in verdict.remedy
    write(tmp_path, "ours", clients.issue_cert("shop"))
    assert renewing.attempt(letter()) == SENT
    told["client_key"].write_text("half of a")
    assert renewing.attempt(letter()) == SENT
    renewing.close()


def test_files_that_are_no_certificates_are_refused_at_once_by_their_names(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(
        OtelHealthError, match=r"the TLS files \(.*ca.pem\) cannot be used: .*; name readable PEM files"
    ):
        Connection(Otlp(endpoint="https://127.0.0.1:1", certificate=str(file)))


@pytest.mark.parametrize(
    ("scheme", "answer", "error_type", "remedy"),
    [
        ("https", b"HTTP/1.0 400 Bad Request\r\n\r\n", "tls_handshake", "http://"),
        (
            "http",
            b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",  # as the Collector
            "tls_wanted",
            "https://",
        ),
    ],
)
def test_the_wrong_scheme_is_told_and_costs_no_request(
    scheme: str, answer: bytes, error_type: str, remedy: str
) -> None:
    def refuse() -> None:
        peer, _ = server.accept()
        with peer:
            peer.recv(65536)
            peer.sendall(answer)

    with socket.create_server((HERE, 0)) as server:
        thread = threading.Thread(target=refuse)
        thread.start()
        sending = post(f"{scheme}://{HERE}:{server.getsockname()[1]}")
        verdict = sending.attempt(letter())
        sending.close()
        thread.join()
    assert (verdict.fate, verdict.error_type) == (Fate.HELD, error_type)
    assert f"write {remedy} in telemetry.otlp.endpoint" in verdict.remedy
