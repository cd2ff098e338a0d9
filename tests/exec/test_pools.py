"""Workers of `multiprocessing.Pool` are killed: nothing that they recorded is lost, and a pool at work ends at once."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.exec.apps.pooled import JOBS
from tests.exec.executed import environment
from tests.exec.test_workers import BIN, receiver, settings
from tests.supervise.running import ROOT
from tests.telemetry.receiver import Receiver, points

__all__ = ["receiver"]
WAYS = {"zero-code": ["opentelemetry-instrument"], "exec": ["otelhealth", "exec", "--"]}


@pytest.mark.parametrize("way", WAYS)
def test_workers_of_a_pool_send_what_they_recorded_before_they_end(
    way: str, tmp_path: Path, receiver: Receiver
) -> None:
    delays = {"OTEL_BSP_SCHEDULE_DELAY": "60000", "OTEL_METRIC_EXPORT_INTERVAL": "60000"}
    program, *options = WAYS[way]
    subprocess.run(
        [str(BIN / program), *options, sys.executable, str(ROOT / "tests" / "exec" / "apps" / "pooled.py")],
        env=environment(tmp_path, **settings(receiver) | delays),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=True,
    )
    spans = Counter(span.name for _, _, span in receiver.scoped_spans() if not span.name.startswith("check "))
    assert spans == {"with": JOBS, "kept": JOBS}
    counted = {
        (resource["service.instance.id"], point.start_time_unix_nano): point.as_int
        for resource, metric in receiver.scoped_metrics()
        if metric.name == "jobs"
        for point in points(metric)
    }
    assert sum(counted.values()) == 2 * JOBS
