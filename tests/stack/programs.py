"""The agent and the demo's service as processes, started and stopped like the servers they work with."""

import sys
from collections.abc import Mapping
from pathlib import Path

from tests.stack.server import Server

ROOT = Path(__file__).resolve().parents[2]


class Agent(Server):
    """`otelhealth run` with a configuration file; `variables` are its environment."""

    program = "otelhealth"

    def __init__(self, folder: Path, config: Path, variables: Mapping[str, str] | None = None) -> None:
        super().__init__(folder)
        self.config = config
        self.variables = variables or {}

    def command(self) -> list[str]:
        return [sys.executable, "-m", "otelhealth", "run", "-c", str(self.config)]

    def environment(self) -> Mapping[str, str]:
        return {"OTELHEALTH_SERVER__LISTEN": self.address("http"), **self.variables}


class Shop(Server):
    """The service of `examples/demo`, which traces itself; its payments are `up`, `down` or `flaky`."""

    program = "shop"
    health_path = "/items"

    def __init__(self, folder: Path, otlp_url: str, payments: str = "up") -> None:
        super().__init__(folder)
        self.otlp_url = otlp_url
        self.payments = payments
        self.database = folder / "shop.db"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "examples.demo.shop"]

    def environment(self) -> Mapping[str, str]:
        return {
            "PYTHONPATH": str(ROOT),
            "SHOP_LISTEN": self.address("http"),
            "SHOP_DATABASE": str(self.database),
            "SHOP_PAYMENTS": self.payments,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.otlp_url,
            "OTEL_SERVICE_NAME": "shop",
            "OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=shop-1",
            "OTEL_BSP_SCHEDULE_DELAY": "500",
            "OTEL_METRIC_EXPORT_INTERVAL": "5000",
        }
