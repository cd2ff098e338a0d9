"""Services that send their OTLP to an agent beside them, in an outage behind it; and twins without it, which lose."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.figures import PER_SECOND, Figures, figures_of
from tests.faults.load import Order
from tests.faults.program import GoProgram, Program
from tests.pipeline.watching import Watch
from tests.stack.loopback import free_ports, until
from tests.telemetry.receiver import Receiver

Put = Callable[[Figures], Figures]
pytestmark = pytest.mark.faults
SDKS: Mapping[str, type[Program]] = {"Python": Program, "Go": GoProgram}


class Beside:
    """An agent that takes OTLP, what stands behind it, and the services that send to either."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.receiver = Receiver()
        self.receive = f"127.0.0.1:{free_ports(('any',))['any']}"
        config = {
            "service": {"name": "beside"},
            "telemetry": {"receive": self.receive, "otlp": {"endpoint": self.receiver.endpoint}},
            "store": {"path": str(folder / "store.db")},
            "checks": {},
        }
        self.agent = Watch(folder / "agent", config)
        self.programs: dict[str, Program] = {}

    def run(self, outage: float, sdks: Iterable[str], *, twins: bool, crash: bool = False) -> None:
        with self.agent:
            for sdk in sdks:
                self.start(sdk, f"http://{self.receive}", f"{sdk} beside the agent")
                if twins:
                    self.start(sdk, self.receiver.endpoint, f"{sdk} alone")
            for program in self.programs.values():
                program.works()
            time.sleep(2.0)  # in which all arrives
            self.receiver.down()
            time.sleep(outage)
            if crash:
                self.agent.kill()
                self.agent.start()
            self.receiver.up()
            time.sleep(2.0)
            with ThreadPoolExecutor(len(self.programs)) as pool:
                list(pool.map(Program.stop, self.programs.values()))
            until(lambda: self.waiting() == 0, "delivery of all that waits", within=outage + 30)
            self.performance = self.agent.report()["performance"]
        self.receiver.close()

    def start(self, sdk: str, endpoint: str, name: str) -> None:
        order = Order("plain", endpoint, name, str(self.folder / "programs"))
        self.programs[name] = SDKS[sdk](order)

    def waiting(self) -> float:
        """Bytes in the agent's spool."""
        lines = self.agent.metrics().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("otelhealth_spool_usage_bytes{"))

    def figures(self, name: str, fault: str) -> Figures:
        program = self.programs[name]
        found = figures_of(program, self.receiver, range(program.made), program.said["collections"])
        return found._replace(way=name, row="in", fault=fault, said=program.text())


@pytest.fixture(scope="module")
def outages(tmp_path_factory: pytest.TempPathFactory, outage: float) -> Mapping[str, Beside]:
    """Both at once: they mostly wait."""
    found = {name: Beside(tmp_path_factory.mktemp(name)) for name in ("down", "killed")}
    with ThreadPoolExecutor(2) as pool:
        runs = (
            pool.submit(found["down"].run, outage, SDKS, twins=True),
            pool.submit(found["killed"].run, outage, ["Python"], twins=False, crash=True),
        )
        for run in runs:
            run.result()
    return found


@pytest.mark.parametrize("sdk", SDKS)
def test_a_service_loses_nothing_of_an_outage_through_the_agent(
    outages: Mapping[str, Beside], row: Put, outage: float, sdk: str
) -> None:
    found = row(outages["down"].figures(f"{sdk} beside the agent", "down"))
    assert (found.lost_spans, found.lost_logs, found.lost_points) == (0, 0, 0)
    assert found.made > PER_SECOND * outage
    control = row(outages["down"].figures(f"{sdk} alone", "down"))
    assert control.lost_spans > 0.3 * PER_SECOND * outage
    assert min(control.lost_logs, control.lost_points) > 0


def test_what_the_agent_has_answered_outlives_its_death(outages: Mapping[str, Beside], row: Put) -> None:
    found = row(outages["killed"].figures("Python beside the agent", "down, the agent killed"))
    assert (found.lost_spans, found.lost_logs, found.lost_points) == (0, 0, 0)


def test_the_requests_of_the_service_are_the_performance_that_the_agent_tells(outages: Mapping[str, Beside]) -> None:
    """The service in Go tells as many requests as spans, each of 20 ms, cumulatively."""
    beside = outages["down"]
    assert beside.performance["source"] == "application"
    made = beside.programs["Go beside the agent"].made
    assert 0.95 * made <= beside.performance["requests"] <= made
    assert 10 <= beside.performance["response_times"]["p50_ms"] <= 25
    assert beside.performance["response_times"]["average_ms"] == pytest.approx(20.0)
