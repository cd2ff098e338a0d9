"""The real Collector, Jaeger and Prometheus with the shipped configurations, on free loopback ports.

For the pipeline tests, the demo and the benchmarks; standard library only, so that the demo needs nothing else.
"""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.stack.loopback import until
from tests.stack.queries import JaegerApi, LogRecord, PrometheusApi, logs_in
from tests.stack.server import Server, ServerError

CONFIGS = Path(__file__).resolve().parents[2] / "collector-config"


class Jaeger(Server):
    program = "jaeger"
    port_names = ("otlp", "http", "grpc", "health")

    def arguments(self) -> list[str]:
        return [f"--config={CONFIGS / 'jaeger.yaml'}"]

    def environment(self) -> Mapping[str, str]:
        return {
            "JAEGER_OTLP_HTTP": self.address("otlp"),
            "JAEGER_HTTP": self.address("http"),
            "JAEGER_GRPC": self.address("grpc"),
            "JAEGER_HEALTH": self.address("health"),
        }

    @property
    def health_url(self) -> str:
        return f"http://{self.address('health')}/status"

    @property
    def otlp_url(self) -> str:
        return f"http://{self.address('otlp')}"

    @property
    def api(self) -> JaegerApi:
        return JaegerApi(self.url)


class Prometheus(Server):
    """With a copy of a shipped configuration, whose addresses are put right by `change`."""

    program = "prometheus"
    health_path = "/-/ready"

    def __init__(self, folder: Path, config: str = "prometheus.yml") -> None:
        super().__init__(folder)
        self.config = folder / config
        self.config.write_text((CONFIGS / config).read_text())
        self.change({"scrape_interval: 15s": "scrape_interval: 1s"})

    def change(self, texts: Mapping[str, str]) -> None:
        """Puts each text, which must stand there exactly once, otherwise; a running server takes it at once."""
        text = self.config.read_text()
        for old, new in texts.items():
            if text.count(old) != 1:
                raise ServerError(f"{old!r} stands {text.count(old)} times in {self.config.name}, not once")
            text = text.replace(old, new)
        self.config.write_text(text)
        if self.pid:
            os.kill(self.pid, signal.SIGHUP)
            until(lambda: all(new in self.api.config() for new in texts.values()), "reloaded Prometheus")

    def arguments(self) -> list[str]:
        return [
            f"--config.file={self.config}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={self.address('http')}",
            "--web.enable-otlp-receiver",
            "--enable-feature=exemplar-storage,otlp-deltatocumulative",
        ]

    @property
    def otlp_url(self) -> str:
        return f"{self.url}/api/v1/otlp"

    @property
    def api(self) -> PrometheusApi:
        return PrometheusApi(self.url)


class Collector(Server):
    """The Collector with the configurations named, laid over each other, and the addresses of what stands behind it."""

    program = "otelcol"
    port_names = ("otlp_http", "otlp_grpc", "health", "metrics", "scrape")

    def __init__(
        self,
        folder: Path,
        *,
        jaeger_url: str = "http://127.0.0.1:9",
        prometheus_url: str = "http://127.0.0.1:9",
        configs: tuple[str, ...] = ("agent.yaml",),
    ) -> None:
        super().__init__(folder)
        self.jaeger_url = jaeger_url
        self.prometheus_url = prometheus_url
        self.configs = configs

    def arguments(self) -> list[str]:
        return [f"--config={CONFIGS / name}" for name in self.configs]

    def environment(self) -> Mapping[str, str]:
        return {
            "COLLECTOR_OTLP_HTTP": self.address("otlp_http"),
            "COLLECTOR_OTLP_GRPC": self.address("otlp_grpc"),
            "COLLECTOR_HEALTH": self.address("health"),
            "COLLECTOR_METRICS_PORT": str(self.ports["metrics"]),
            "COLLECTOR_SCRAPE": self.address("scrape"),
            "COLLECTOR_DATA": str(self.folder / "data"),
            "JAEGER_OTLP_URL": self.jaeger_url,
            "PROMETHEUS_OTLP_URL": self.prometheus_url,
        }

    @property
    def health_url(self) -> str:
        return f"http://{self.address('health')}/"

    @property
    def otlp_url(self) -> str:
        """Where agents send OTLP over HTTP."""
        return f"http://{self.address('otlp_http')}"

    @property
    def grpc_url(self) -> str:
        return f"http://{self.address('otlp_grpc')}"

    def logs(self) -> list[LogRecord]:
        return logs_in(self.folder / "data" / "logs.jsonl")


@dataclass(frozen=True)
class Stack:
    collector: Collector
    jaeger: Jaeger
    prometheus: Prometheus


@contextmanager
def stack(folder: Path) -> Iterator[Stack]:
    """The whole line of agent.yaml, started from its end, so that nothing is retried at the start."""
    with Jaeger(folder / "jaeger") as jaeger, Prometheus(folder / "prometheus") as prometheus:
        collector = Collector(folder / "collector", jaeger_url=jaeger.otlp_url, prometheus_url=prometheus.otlp_url)
        with collector:
            prometheus.change({"127.0.0.1:8888": collector.address("metrics")})
            yield Stack(collector, jaeger, prometheus)


@contextmanager
def scrape_stack(folder: Path) -> Iterator[Stack]:
    """The line of scrape.yaml, in which Prometheus comes to the Collector."""
    with Jaeger(folder / "jaeger") as jaeger, Prometheus(folder / "prometheus", "prometheus-scrape.yml") as prometheus:
        configs = ("agent.yaml", "scrape.yaml")
        with Collector(folder / "collector", jaeger_url=jaeger.otlp_url, configs=configs) as collector:
            addresses = {"127.0.0.1:9464": collector.address("scrape"), "127.0.0.1:8888": collector.address("metrics")}
            prometheus.change(addresses)
            yield Stack(collector, jaeger, prometheus)
