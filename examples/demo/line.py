"""What the demo starts: the end of the data's way first, on the usual ports where they are free."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.stack.programs import Agent, Shop
from tests.stack.server import Server
from tests.stack.servers import Collector, Jaeger, Prometheus

CONFIG = Path(__file__).with_name("otelhealth.yaml")
USUAL_PORTS: dict[str, dict[str, int]] = {
    "jaeger": {"http": 16686, "grpc": 16685, "otlp": 14318, "health": 14269},
    "prometheus": {"http": 9090},
    "otelcol": {"otlp_http": 4318, "otlp_grpc": 4317, "health": 13133, "metrics": 8888},
    "shop": {"http": 8000},
    "otelhealth": {"http": 8082},
}
S = TypeVar("S", bound=Server)


@dataclass(frozen=True)
class Line:
    """The running demo."""

    shop: Shop
    agent: Agent
    collector: Collector
    jaeger: Jaeger
    prometheus: Prometheus

    def ended(self) -> list[Server]:
        """What has stopped by itself."""
        servers: tuple[Server, ...] = (self.shop, self.agent, self.collector, self.jaeger, self.prometheus)
        return [server for server in servers if not server.running]


@contextmanager
def line(folder: Path) -> Iterator[Line]:
    """Started when it is entered, ended when it is left: the agent first, so that nobody reports the end as a fault."""
    with ExitStack() as running:

        def start(server: S) -> S:
            server.wishes = USUAL_PORTS[server.program]
            running.callback(server.stop)  # before the start, so that no interrupt falls between the two
            return server.start()

        jaeger = start(Jaeger(folder / "jaeger"))
        prometheus = start(Prometheus(folder / "prometheus"))
        collector = start(
            Collector(folder / "collector", jaeger_url=jaeger.otlp_url, prometheus_url=prometheus.otlp_url)
        )
        prometheus.change({"127.0.0.1:8888": collector.address("metrics")})
        shop = start(Shop(folder / "shop", collector.otlp_url, payments="flaky"))
        agent = start(Agent(folder / "agent", CONFIG, _addresses(folder, shop, collector, jaeger, prometheus)))
        yield Line(shop, agent, collector, jaeger, prometheus)


def _addresses(
    folder: Path, shop: Shop, collector: Collector, jaeger: Jaeger, prometheus: Prometheus
) -> dict[str, str]:
    """What `otelhealth.yaml` takes from the environment."""
    return {
        "STATE": str(folder),
        "SHOP_PORT": str(shop.ports["http"]),
        "SHOP_PID": str(shop.pid),
        "COLLECTOR": collector.otlp_url,
        "COLLECTOR_HEALTH": collector.health_url,
        "JAEGER": jaeger.url,
        "PROMETHEUS": prometheus.url,
    }
