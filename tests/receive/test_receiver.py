"""The receiver's life: where it listens, and where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from otelhealth import Agent
from otelhealth.config.load import load
from otelhealth.errors import OtelHealthError
from tests.receive.agents import taking


def test_the_address_can_be_set_by_a_variable(tmp_path: Path) -> None:
    (tmp_path / "o.yaml").write_text("checks: {}")
    config = load(tmp_path / "o.yaml", {"OTELHEALTH_TELEMETRY__RECEIVE": "127.0.0.1:0"})
    assert config.telemetry.receiving is not None
    limited = load(tmp_path / "o.yaml", {"OTELHEALTH_TELEMETRY__RECEIVE__LIMITS__RATE": "7"}).telemetry.receiving
    assert limited is not None
    assert (limited.listen, limited.limits.rate) == ("127.0.0.1:4318", 7)


async def test_a_taken_address_is_told_with_its_own_setting(tmp_path: Path) -> None:
    async with taking(tmp_path) as to:
        with pytest.raises(OtelHealthError, match="address already in use") as caught:
            async with taking(tmp_path / "other", listen=str(to.address)):
                pass
    assert "telemetry.receive (or OTELHEALTH_TELEMETRY__RECEIVE)" in caught.value.remedy


async def test_grpc_upstream_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(OtelHealthError, match="cannot go on by gRPC") as caught:
        async with taking(tmp_path, "http://127.0.0.1:4317", otlp={"protocol": "grpc"}):
            pass
    assert "http/protobuf" in caught.value.remedy


async def test_inside_an_application_it_is_left_aside_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = {"store": {"path": str(tmp_path / "o.db")}, "telemetry": {"receive": "127.0.0.1:4318"}, "checks": {}}
    async with Agent(config, role="app") as agent:
        assert agent.receiver == ""
    assert "telemetry.receive is left aside" in caplog.text
