"""The agent's log on the real line: a line names a trace that Jaeger has, a record arrives in the Collector's file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from tests.logs.records import strictly
from tests.pipeline.watching import Watch, settings
from tests.stack.loopback import free_ports, until
from tests.stack.servers import Stack

TELLS = """\
import logging

def tells():
    logging.getLogger("shop.stock").warning("%d left", 3)
"""


def line_of(agent: Watch, message: str) -> dict[str, Any]:
    """The first line of its log with that text, as soon as it is there."""

    def found() -> dict[str, Any]:
        lines = (strictly(each) for each in agent.log.read_text().splitlines())
        return next((each for each in lines if message in each["message"]), {})

    return until(found, f"line with {message!r}")


def test_a_line_names_a_trace_and_a_record_arrives(line: Stack, tmp_path: Path) -> None:
    (tmp_path / "stock.py").write_text(TELLS)
    checks = {
        "nobody": {"kind": "tcp", "host": "127.0.0.1", "port": free_ports(("any",))["any"]},
        "stock": {"kind": "python", "call": "stock:tells"},
    }
    config = settings(line.collector.otlp_url, checks, "logged") | {"log": {"format": "json", "otlp": "info"}}
    with Watch(tmp_path, config) as agent:
        change, own = line_of(agent, "nobody: unknown -> fail"), line_of(agent, "3 left")
        for told, name in ((change, "check nobody"), (own, "check stock")):
            spans = until(partial(line.jaeger.api.trace, told["trace_id"]), f"trace of {name}")
            assert [span.name for span in spans if span.span_id == told["span_id"]] == [name]
        agent.reload(config | {"status": {"policy": "tiers"}})
        line_of(agent, "the configuration was read again")
        records = until(
            lambda: [
                record
                for record in line.collector.logs()
                if record.resource["service.name"] == "logged" and "was read again" in str(record.body)
            ],
            "record in the Collector's file",
        )
    [record] = records
    assert (record.severity, record.event) == (9, "")
    assert record.attributes["code.function.name"] == "_accept"
    assert record.resource["service.instance.id"] == change["resource"]["service.instance.id"]
