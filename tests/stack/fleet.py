"""The Collectors of a fleet, with Kafka between them. Standard library only."""

from collections.abc import Mapping
from pathlib import Path

from tests.stack.kafka import Kafka
from tests.stack.servers import Collector, Jaeger, Prometheus


class Edge(Collector):
    """Takes OTLP and puts it into Kafka; `configs` are laid over edge.yaml."""

    def __init__(self, folder: Path, kafka: Kafka, configs: tuple[str, ...] = ()) -> None:
        super().__init__(folder, configs=("edge.yaml", *configs))
        self.kafka = kafka

    def environment(self) -> Mapping[str, str]:
        return {**super().environment(), "KAFKA_BROKERS": self.kafka.url}


class Gateway(Collector):
    """Fetches from Kafka, as one of a group; `configs` are laid over gateway.yaml."""

    def __init__(
        self, folder: Path, kafka: Kafka, ends: tuple[Jaeger, Prometheus] | None = None, configs: tuple[str, ...] = ()
    ) -> None:
        urls = {"jaeger_url": ends[0].otlp_url, "prometheus_url": ends[1].otlp_url} if ends else {}
        super().__init__(folder, **urls, configs=("gateway.yaml", *configs))
        self.kafka = kafka

    def environment(self) -> Mapping[str, str]:
        """Its name is that of its folder, its group that of the folder around."""
        own = {"COLLECTOR_NAME": self.folder.name, "KAFKA_GROUP": self.folder.parent.name}
        return {**super().environment(), "KAFKA_BROKERS": self.kafka.url, **own}
