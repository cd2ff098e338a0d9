"""Edge, gateway and Kafka are killed, and everything is counted at the ends.

One story, told once: an edge and a gateway of each pair are killed, and Kafka while they are away, so that for a while
there is nothing but what each has on its disk. Beside them run two that are careless, and must lose.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from tests.stack.fleet import Edge, Gateway
from tests.stack.loopback import until
from tests.stack.server import Server
from tests.tail.line import DECISION_WAIT, FLUSH, End, Line, line
from tests.tail.numbered import FAILING, RATE, SPANS, Count, Sender, calls_at, points_at, records_at, traces_at

pytestmark = pytest.mark.faults

# What is killed and started anew, and after how many seconds: each is away for 30 s. In full length for 60 s, first by
# itself, then together. The careless edge is restarted only, when it holds much.
SHORT = (
    *((0, "kill", "collectors"), (2, "kill", "prometheus"), (14, "kill", "kafka")),
    *((30, "start", "collectors"), (30, "restart", "careless"), (32, "start", "prometheus"), (44, "start", "kafka")),
)
FULL = (
    *((0, "kill", "collectors"), (60, "start", "collectors"), (75, "kill", "kafka"), (135, "start", "kafka")),
    *((150, "kill", "prometheus"), (210, "start", "prometheus")),
    *((225, "kill", "collectors"), (227, "kill", "prometheus"), (255, "kill", "kafka")),
    *(
        (285, "start", "collectors"),
        (285, "restart", "careless"),
        (287, "start", "prometheus"),
        (315, "start", "kafka"),
    ),
)
# Marks before it has delivered, and batches in memory.
CARELESS_GATEWAY = """
receivers: {kafka/logs: {message_marking: {after: false}}}
processors: {batch: {timeout: 10s}}
service: {pipelines: {logs: {processors: [memory_limiter, batch]}}}
"""
# Queues in memory.
CARELESS_EDGE = "exporters: {kafka: {sending_queue: {storage: }}}"
ON_THE_WAY = 15  # seconds from a sender to a gateway, on a machine that has other work
Figure = Callable[[str], None]


@dataclass(frozen=True)
class Story:
    fleet: Line
    gateway: Gateway  # the careless one
    edge: Edge  # the careless one
    senders: list[Sender]  # over the other edges
    careless: Sender  # over the careless edge
    kills: list[float] = field(default_factory=list)  # Unix times at which Collectors were killed

    def victims(self, name: str) -> tuple[Server, ...]:
        whole, sampled = self.fleet.whole, self.fleet.sampled
        return {
            "collectors": (self.fleet.edges[0], whole.gateways[0], sampled.gateways[0], self.gateway),
            "kafka": (self.fleet.kafka,),
            "prometheus": (whole.prometheus,),
            "careless": (self.edge,),
        }[name]

    def tell(self, plan: tuple[tuple[int, str, str], ...]) -> None:
        begun = time.monotonic()
        for second, act, name in plan:
            time.sleep(max(begun + second - time.monotonic(), 0))  # how long an outage lasts is what it is about
            if (act, name) == ("kill", "collectors"):
                self.kills.append(time.time())
            for victim in self.victims(name):
                if act != "start":
                    victim.crash()
                if act != "kill":
                    victim.start()


@contextmanager
def stage(folder: Path) -> Iterator[Story]:
    with ExitStack() as running:
        fleet = running.enter_context(line(folder))
        careless = folder / "careless"
        careless.mkdir()
        for name, text in (("gateway.yaml", CARELESS_GATEWAY), ("edge.yaml", CARELESS_EDGE)):
            (careless / name).write_text(text)
        gateway = Gateway(careless / "gateway", fleet.kafka, None, (str(careless / "gateway.yaml"),))
        edge = Edge(careless / "edge", fleet.kafka, (str(careless / "edge.yaml"),))
        running.enter_context(gateway)
        running.enter_context(edge)
        senders = [Sender(each, each.folder.name) for each in fleet.edges]
        yield Story(fleet, gateway, edge, senders, Sender(edge, "careless", ("logs",)))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Story]:
    with stage(tmp_path_factory.mktemp("outages")) as told:
        everybody = [*told.senders, told.careless]
        for sender in everybody:
            sender.start()
        try:
            until(lambda: all(flowing(told.fleet, sender) for sender in told.senders), "telemetry at every end")
            told.tell(FULL if pytestconfig.getoption("full_length") else SHORT)
        finally:
            for sender in everybody:
                sender.stop()
        yield told


def flowing(fleet: Line, sender: Sender) -> bool:
    """Whether each gateway has counted spans of all four kinds. A new counter tells 0 first: a kill in that time would
    cost two flushes."""
    calls = f'traces_span_metrics_calls_total{{service_name="{sender.service}"}} > 0'
    return all(len(end.prometheus.api.query(calls)) == 4 * len(end.gateways) for end in (fleet.whole, fleet.sampled))


def settled(look: Callable[[], Count]) -> Count:
    """As soon as nothing is lost; otherwise what is lost in the end."""
    deadline = time.monotonic() + 60
    while (found := look()).lost and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def end_of(story: Story, name: str) -> End:
    return {"whole": story.fleet.whole, "sampled": story.fleet.sampled}[name]


@pytest.mark.parametrize("name", ["whole", "sampled"])
def test_no_metric_point_is_lost(story: Story, figure: Figure, name: str) -> None:
    api = end_of(story, name).prometheus.api
    for sender in story.senders:
        found = settled(partial(points_at, api, sender))
        figure(f"fleet, {name}: points over {sender.service}: {found}")
        assert found.lost == ()


@pytest.mark.parametrize("name", ["whole", "sampled"])
def test_no_log_record_is_lost(story: Story, figure: Figure, name: str) -> None:
    gateways = end_of(story, name).gateways
    for sender in story.senders:
        found = settled(partial(records_at, gateways, sender))
        figure(f"fleet, {name}: log records over {sender.service}: {found}")
        assert found.lost == ()


def test_no_trace_is_lost_without_sampling(story: Story, figure: Figure) -> None:
    for sender in story.senders:
        found = settled(partial(traces_at, story.fleet.whole.jaeger.api, sender))
        figure(f"fleet, whole: traces over {sender.service}: {found}")
        assert found.lost == ()


def test_sampling_loses_of_the_failed_traces_at_most_those_that_waited_for_their_judgement(
    story: Story, figure: Figure
) -> None:
    for sender in story.senders:
        found = until(partial(excused, story, sender), f"failed traces over {sender.service}", every=0.5)
        assert found
        ages = [age_of(story, sender, number) for number in found.lost]
        told = f"made up to {max(ages):.1f} s before a kill" if ages else ""
        figure(f"fleet, sampled: failed traces over {sender.service}: {found} {told}")


def excused(story: Story, sender: Sender) -> Count | None:
    """Once no more failed traces are missing than come while one waits, and only such as were made shortly before a
    gateway was killed."""
    found = traces_at(story.fleet.sampled.jaeger.api, sender, failed=True)
    waiting = (DECISION_WAIT + 1) * RATE / FAILING * len(story.kills)
    ages = [age_of(story, sender, number) for number in found.lost]
    fits = len(ages) <= waiting and all(age < DECISION_WAIT + ON_THE_WAY for age in ages)
    return found if fits else None


def age_of(story: Story, sender: Sender, number: int) -> float:
    """Seconds to the next kill of a gateway; infinite after the last."""
    return min((kill - sender.moment(number) for kill in story.kills if kill > sender.moment(number)), default=math.inf)


@pytest.mark.parametrize("name", ["whole", "sampled"])
def test_span_metrics_miss_at_most_what_came_since_the_last_flush_of_the_gateway(
    story: Story, figure: Figure, name: str
) -> None:
    api, flush = end_of(story, name).prometheus.api, round(FLUSH * RATE) * SPANS * len(story.kills)
    for sender in story.senders:
        sent = SPANS * len(sender.traces)
        counted = until(partial(calls_at, api, sender, sent - flush), "span metrics of all but one flush", every=0.5)
        figure(f"fleet, {name}: spans over {sender.service} in span metrics: {sent} sent, {sent - counted} lost")
        assert counted <= sent + flush


def test_a_gateway_that_marks_before_it_has_delivered_loses(story: Story, figure: Figure) -> None:
    for sender in story.senders:
        last = sender.taken["logs"] - 1
        until(partial(has, story.gateway, sender, last), "the last record", every=0.5)
        found = records_at([story.gateway], sender)
        figure(f"fleet, control: log records over {sender.service} to a careless gateway: {found}")
        assert found.lost


def has(gateway: Gateway, sender: Sender, number: int) -> bool:
    return number not in records_at([gateway], sender).lost


def test_an_edge_that_queues_in_memory_loses(story: Story, figure: Figure) -> None:
    found = records_at(story.fleet.whole.gateways, story.careless)
    figure(f"fleet, control: log records over a careless edge: {found}")
    assert found.lost
