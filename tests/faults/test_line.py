"""Row R1 of the fault table: the real Collector, Jaeger and Prometheus, one of them down for a while."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from tests.faults.figures import PER_SECOND, Figures
from tests.faults.load import COLLECT, Order
from tests.faults.program import Program
from tests.stack.loopback import until
from tests.stack.servers import Stack, stack

Put = Callable[[Figures], Figures]
pytestmark = pytest.mark.faults
MOST_SPANS = 1_000  # traces that Jaeger is asked for


class Line:
    """A stack of its own, with both exporters on it."""

    def __init__(self, fault: str, running: Stack, folder: Path, outage: float) -> None:
        self.outage = outage
        self.fault = fault
        self.stack = running
        self.folder = folder
        self.since = time.time()
        self.programs: dict[str, Program] = {}

    def start(self, *, direct: bool = False) -> None:
        """Both programs; the plain one `direct`: past the Collector, which would keep what the others do not take."""
        url = self.stack.collector.otlp_url
        for way in ("spool", "plain"):
            order = Order(way, url, f"load-{way}", str(self.folder / way))
            if direct and way == "plain":
                order.traces = f"{self.stack.jaeger.otlp_url}/v1/traces"
                order.metrics = f"{self.stack.prometheus.otlp_url}/v1/metrics"
            self.programs[way] = Program(order)
        for program in self.programs.values():
            program.works()

    def stop(self) -> dict[str, float]:
        """Seconds that each needed to end."""
        return {way: program.stop() for way, program in self.programs.items()}

    def figures(self, way: str, ended: float = 0.0) -> Figures:
        program, name = self.programs[way], f"load-{way}"
        spans, logs, points = self.spans(name), self.logs(name), self.points(name)
        names = [f"s-{number}" for number in range(program.made)]
        numbers = set(range(1, program.said["collections"] + 1))
        return Figures(
            way,
            program.made,
            sum(one not in spans for one in names),
            sum(one not in logs for one in names),
            len(numbers - {round(value) for value in points.values()}),
            sum(count - 1 for of in (spans, logs) for one, count in of.items() if one.startswith("s-")),
            max((late - early for early, late in pairwise(sorted(points))), default=0.0),
            ended,
            "R1",
            self.fault,
            program.text(),
        )

    def spans(self, service: str) -> Counter[str]:
        found = self.stack.jaeger.api.search(service, self.since - 10, time.time() + 10, MOST_SPANS)
        return Counter(span.name for spans in found.values() for span in spans if span.service == service)

    def logs(self, service: str) -> Counter[str]:
        records = self.stack.collector.logs()
        return Counter(str(record.body) for record in records if record.resource["service.name"] == service)

    def points(self, service: str) -> Mapping[float, float]:
        """The number of each collection, by its time."""
        samples = self.stack.prometheus.api.query(f'faults_collections_total{{job="{service}"}}[1h]')
        return {sample.time: sample.value for sample in samples}

    def has_all(self) -> bool:
        return self.figures("spool").lost == 0


def collector_down(line: Line) -> None:
    line.start()
    time.sleep(2.0)
    line.stack.collector.kill()
    time.sleep(line.outage)
    line.stack.collector.start()


def jaeger_and_prometheus_down(line: Line) -> None:
    """From the beginning: this Jaeger forgets everything when it ends."""
    line.stack.jaeger.kill()
    line.stack.prometheus.kill()
    line.start(direct=True)
    time.sleep(line.outage)
    line.stack.jaeger.start()
    line.stack.prometheus.start()


FAULTS: Mapping[str, tuple[str, Callable[[Line], None]]] = {
    "collector": ("Collector down", collector_down),
    "behind": ("Jaeger and Prometheus down", jaeger_and_prometheus_down),
}


def run(name: str, folder: Path, outage: float) -> dict[str, Figures]:
    """Of both exporters, once what the spool has sent is found."""
    fault, happens = FAULTS[name]
    with stack(folder / "stack") as running:
        line = Line(fault, running, folder, outage)
        try:
            happens(line)
            time.sleep(3.0)
            ended = line.stop()
        finally:
            for program in line.programs.values():
                program.kill()
        until(line.has_all, "all that the spool was given", 90.0, 1.0)
        return {way: line.figures(way, ended[way]) for way in line.programs}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, outage: float) -> Iterator[Mapping[str, dict[str, Figures]]]:
    """Both faults at once, each on a line of its own."""
    with ThreadPoolExecutor(len(FAULTS)) as pool:
        going = {name: pool.submit(run, name, tmp_path_factory.mktemp(name), outage) for name in FAULTS}
        yield {name: future.result() for name, future in going.items()}


@pytest.mark.parametrize("name", FAULTS)
def test_no_span_no_log_record_and_no_point_is_lost_and_the_graph_has_no_hole(
    runs: Mapping[str, dict[str, Figures]], row: Put, outage: float, name: str
) -> None:
    ours, plain = row(runs[name]["spool"]), row(runs[name]["plain"])
    assert ours.made > outage * PER_SECOND
    assert (ours.lost_spans, ours.lost_logs, ours.lost_points) == (0, 0, 0)
    assert ours.gap < 3 * COLLECT
    assert min(plain.lost_spans, plain.lost_points) > 0
    assert plain.gap > outage / 4 or name == "behind"  # where it began without having a point
