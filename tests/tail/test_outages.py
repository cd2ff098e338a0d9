"""Edge, gateway and Kafka are killed, and everything is counted at the ends.

One story, told once: an edge, a gateway of each pair, and Kafka are killed, each by itself and in full length also
together, so that for a while there is nothing but what each has on its disk. Beside them run two that are careless,
and must lose.
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

# What is killed and started anew, and after how many seconds: each is away for 30 s, for 10 s in the shortened story.
# What is restarted holds much in that moment; what a kill of gateways or of Kafka finds is settled, for all that is not
# marked in Kafka comes twice.
SHORT = (
    *((0, "kill", "edge"), (10, "start", "edge")),
    *((12, "settle", "gateways"), (12, "kill", "gateways"), (22, "start", "gateways")),
    *((24, "settle", "gateways"), (24, "kill", "kafka"), (24, "kill", "prometheus"), (29, "restart", "edge")),
    *((34, "start", "prometheus"), (34, "restart", "careless"), (34, "start", "kafka")),
)
FULL = (
    *((0, "kill", "edge"), (30, "start", "edge")),
    *((40, "settle", "gateways"), (40, "kill", "gateways"), (70, "start", "gateways")),
    *((80, "settle", "gateways"), (80, "kill", "kafka"), (110, "start", "kafka")),
    *((120, "kill", "prometheus"), (150, "start", "prometheus")),
    *((160, "settle", "gateways"), (160, "kill", "edge"), (160, "kill", "gateways")),
    *((162, "kill", "prometheus"), (175, "kill", "kafka")),
    *((190, "start", "edge"), (190, "start", "gateways"), (192, "start", "prometheus")),
    *((204, "restart", "careless"), (205, "start", "kafka")),
)
# Marks before it has delivered, and batches in memory.
CARELESS_GATEWAY = """
receivers: {kafka/logs: {message_marking: {after: false}}}
processors: {batch: {timeout: 10s}}
service: {pipelines: {logs: {processors: [memory_limiter, batch]}}}
"""
# Queues in memory.
CARELESS_EDGE = "exporters: {kafka: {sending_queue: {storage: }}}"
JUDGED = DECISION_WAIT + 2  # seconds after which a failed trace is in Jaeger, on a machine that has other work
Figure = Callable[[str], None]


@dataclass(frozen=True)
class Story:
    fleet: Line
    gateway: Gateway  # the careless one
    edge: Edge  # the careless one
    senders: list[Sender]  # over the other edges
    careless: Sender  # over the careless edge
    kills: list[float] = field(default_factory=list)  # Unix times at which gateways were killed

    def victims(self, name: str) -> tuple[Server, ...]:
        whole, sampled = self.fleet.whole, self.fleet.sampled
        return {
            "edge": (self.fleet.edges[0],),
            "gateways": (whole.gateways[0], sampled.gateways[0], self.gateway),
            "kafka": (self.fleet.kafka,),
            "prometheus": (whole.prometheus,),
            "careless": (self.edge,),
        }[name]

    def tell(self, plan: tuple[tuple[int, str, str], ...]) -> None:
        begun = time.monotonic()
        for second, act, name in plan:
            time.sleep(max(begun + second - time.monotonic(), 0))  # how long an outage lasts is what it is about
            if act == "settle":
                until(lambda: self.oldest_waiting() < JUDGED, "judgement of all that an outage held back")
                until(lambda: self.careless_for() > 2, "batch that a kill would cost")
                begun = time.monotonic() - second
                continue
            if (act, name) == ("kill", "gateways"):
                self.kills.append(time.time())
            for victim in self.victims(name):
                if act != "start":
                    victim.kill()
                if act != "kill":
                    victim.start()

    def oldest_waiting(self) -> float:
        """How long ago the oldest failed trace was made that is not in Jaeger yet, in s; since the last kill."""
        now, since, api = time.time(), max(self.kills, default=0.0), self.fleet.sampled.jaeger.api
        made = [sender.moment(n) for sender in self.senders for n in traces_at(api, sender, failed=True).lost]
        return now - min((moment for moment in made if moment > since), default=now)

    def careless_for(self) -> float:
        """How long the careless gateway has written nothing, in s."""
        return time.time() - (self.gateway.folder / "data" / "logs.jsonl").stat().st_mtime


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


def settled(look: Callable[[], Count], suffices: Callable[[Count], bool] = lambda found: not found.lost) -> Count:
    """As soon as it suffices, as where nothing is lost; otherwise what is found in the end."""
    deadline = time.monotonic() + 60
    while not suffices(found := look()) and time.monotonic() < deadline:
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
        look = partial(traces_at, story.fleet.sampled.jaeger.api, sender, failed=True)
        found = settled(look, partial(excused, story, sender))
        ages = sorted(age_of(story, sender, number) for number in found.lost)
        told = f"made up to {ages[-1]:.1f} s before a kill" if ages else ""
        figure(f"fleet, sampled: failed traces over {sender.service}: {found} {told}")
        assert [age for age in ages if age > JUDGED + 1] == []
        assert len(ages) <= (DECISION_WAIT + 1) * RATE / FAILING * len(story.kills)


def excused(story: Story, sender: Sender, found: Count) -> bool:
    """Whether all that is lost may have waited for its judgement when a gateway was killed."""
    return all(age_of(story, sender, number) <= JUDGED + 1 for number in found.lost)


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
