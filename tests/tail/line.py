"""A fleet's line: two edge Collectors, Kafka, and two pairs of gateways that each fetch all of it, for a Jaeger and a
Prometheus of their own: one pair samples, the other does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.stack.fleet import Edge, Gateway
from tests.stack.kafka import Kafka
from tests.stack.servers import Jaeger, Prometheus

TOPICS = ("otlp_spans", "otlp_metrics", "otlp_logs")
PARTITIONS = 6
DECISION_WAIT = 3
FLUSH = 2
SOONER = f"""
processors: {{tail_sampling: {{decision_wait: {DECISION_WAIT}s}}}}
connectors: {{span_metrics: {{metrics_flush_interval: {FLUSH}s}}}}
"""


@dataclass(frozen=True)
class End:
    """A group of gateways and what stands behind it."""

    gateways: tuple[Gateway, Gateway]
    jaeger: Jaeger
    prometheus: Prometheus


@dataclass(frozen=True)
class Line:
    kafka: Kafka
    edges: tuple[Edge, Edge]
    whole: End
    sampled: End


def make_topics(kafka: Kafka) -> None:
    """As edge.yaml tells it, but for the copies."""
    config = {"max.message.bytes": "20971520"}
    topics = [NewTopic(name, PARTITIONS, 1, config=config) for name in TOPICS]
    admin = AdminClient({"bootstrap.servers": kafka.url})
    for made in admin.create_topics(topics).values():
        made.result(30)


@contextmanager
def end(folder: Path, kafka: Kafka, configs: Sequence[str]) -> Iterator[End]:
    """Its group and its gateways are called by the folder."""
    sooner = folder / "sooner.yaml"
    folder.mkdir()
    sooner.write_text(SOONER)
    with Jaeger(folder / "jaeger") as jaeger, Prometheus(folder / "prometheus") as prometheus:
        first, second = (
            Gateway(folder / f"{folder.name}-{n}", kafka, (jaeger, prometheus), (*configs, str(sooner))) for n in (1, 2)
        )
        with first, second:
            yield End((first, second), jaeger, prometheus)


@contextmanager
def line(folder: Path) -> Iterator[Line]:
    with ExitStack() as running:
        kafka = running.enter_context(Kafka(folder / "kafka"))
        make_topics(kafka)
        edges = tuple(running.enter_context(Edge(folder / f"edge-{n}", kafka)) for n in (1, 2))
        whole = running.enter_context(end(folder / "whole", kafka, ["unsampled.yaml"]))
        sampled = running.enter_context(end(folder / "sampled", kafka, []))
        yield Line(kafka, (edges[0], edges[1]), whole, sampled)
