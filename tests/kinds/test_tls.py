from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from otelhealth.checks.levels import LevelJudge
from otelhealth.kinds.tls import TlsCheck
from otelhealth.model import CheckResult, Status
from tests.kinds.loopback import Authority, Bench, open_files, serving, settled


async def quiet(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read(1)


async def seen(context: ssl.SSLContext, **fields: Any) -> CheckResult:
    async with serving(quiet, tls=context) as port:
        check = TlsCheck.model_validate({"host": "127.0.0.1", "port": port, **fields})
        return LevelJudge(check.levels, check.default_levels).judge(await Bench().probe(check), 0.0)


def days(result: CheckResult) -> float:
    return next(one.value for one in result.measurements if one.name == "days_left")


@pytest.mark.parametrize(("left", "status"), [(90, Status.PASS), (13, Status.WARN), (2, Status.FAIL)])
async def test_the_days_left_decide(tmp_path: Path, left: float, status: Status) -> None:
    authority = Authority(tmp_path)
    result = await seen(authority.server(days=left), ca=authority.root)
    assert result.status is status
    assert days(result) == pytest.approx(left, abs=0.1)


async def test_the_record_shows_the_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    result = await seen(authority.server("127.0.0.1", "shop.example"), ca=authority.root)
    assert set(result.details["names"]) == {"127.0.0.1", "shop.example"}
    assert result.details["verified"] is True
    assert result.details["protocol"] == "TLSv1.3"
    assert "trustme" in result.details["issuer"]


@pytest.mark.parametrize(
    ("left", "names", "trusted", "error_type"),
    [
        (-3, ("127.0.0.1",), True, "tls_expired"),
        (90, ("other.example",), True, "tls_hostname_mismatch"),
        (90, ("127.0.0.1",), False, "tls_untrusted"),
    ],
)
async def test_a_refused_certificate_is_read_all_the_same(
    tmp_path: Path, left: float, names: tuple[str, ...], trusted: bool, error_type: str
) -> None:
    authority = Authority(tmp_path)
    result = await seen(authority.server(*names, days=left), **({"ca": authority.root} if trusted else {}))
    assert (result.status, result.error_type) == (Status.FAIL, error_type)
    assert days(result) == pytest.approx(left, abs=0.1)
    assert result.details["names"] == list(names)
    assert result.details["verified"] is False


async def test_a_certificate_that_is_not_valid_yet_has_its_class(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    assert (await seen(authority.server(started=1), ca=authority.root)).error_type == "tls_not_yet_valid"


async def test_without_verification_only_the_days_count(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    assert (await seen(authority.server("other.example"), verify_tls=False)).status is Status.PASS
    expired = await seen(authority.server(days=-1), verify_tls=False)
    assert (expired.error_type, expired.message) == ("tls_expired", "the certificate expired 1.0 days ago")


async def test_a_client_certificate_that_is_wanted_and_missing_is_a_failed_handshake(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.server()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(context)
    assert (await seen(context, ca=authority.root)).error_type in ("tls_handshake", "connection_reset")
    client = authority.ca.issue_cert("client.example")
    pem = tmp_path / "client.pem"
    client.private_key_and_cert_chain_pem.write_to_path(pem)
    assert (await seen(context, ca=authority.root, client_certificate=pem)).status is Status.PASS


async def test_a_port_without_tls_fails_and_one_that_hangs_leaves_no_descriptor() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"220 not TLS\r\n")
        await writer.drain()

    async with serving(plain) as port:
        result = await Bench().probe(TlsCheck(host="127.0.0.1", port=port))
    assert (result.status, result.error_type) == (Status.FAIL, "tls_handshake")
    assert result.message.endswith(", as where no TLS is spoken")

    async def hangs(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass

    async with serving(hangs) as port:
        before = open_files()
        bench = Bench()
        with pytest.raises(TimeoutError):
            await bench.overdue_in("tls", TlsCheck(host="127.0.0.1", port=port))
        await settled(before)
    assert "stopped in phase tls" in bench.log[0]
