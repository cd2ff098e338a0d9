"""Real servers are started until they are ready, survive what tests do to them, and leave nothing behind."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from tests.stack import otlp
from tests.stack.loopback import answers, until
from tests.stack.server import ServerError
from tests.stack.servers import Collector, Jaeger, Prometheus, stack


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_the_whole_stack_starts_ready_and_stops_without_a_process(tmp_path: Path) -> None:
    with stack(tmp_path) as line:
        servers = (line.collector, line.jaeger, line.prometheus)
        pids = [each.pid for each in servers]
        assert all(answers(each.health_url) for each in servers)
    assert None not in pids
    assert all(gone(pid) for pid in pids if pid)


def test_an_orderly_stop_is_no_crash_even_when_nothing_stands_behind_the_collector(tmp_path: Path) -> None:
    with Collector(tmp_path) as collector:
        otlp.send_span(collector.otlp_url, 1.0)
        until(lambda: "Exporting failed" in collector.tail(), "attempt that failed")
        assert collector.pid
        os.kill(collector.pid, signal.SIGTERM)
        assert collector.wait() == 0


def test_a_restarted_server_keeps_its_ports_and_its_data(tmp_path: Path) -> None:
    with Prometheus(tmp_path) as prometheus:
        url = prometheus.url
        moment = prometheus.api.query("time()")[0].time
        assert otlp.send_metrics(prometheus.otlp_url, otlp.gauge("kept.test", "1", moment, 1)) == 200
        prometheus.kill()
        assert not prometheus.running
        prometheus.start()
        assert prometheus.url == url
        assert prometheus.api.query("kept_test_ratio[5m]")


def test_a_killed_server_refuses_and_keeps_its_ports_until_it_is_started_again(tmp_path: Path) -> None:
    with Jaeger(tmp_path) as jaeger:
        ports = set(jaeger.ports.values())
        jaeger.kill()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", jaeger.ports["http"]))
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", jaeger.ports["http"]))
        jaeger.start()
        assert set(jaeger.ports.values()) == ports


class RobbedJaeger(Jaeger):
    """Somebody else takes one of its ports between choice and use, once."""

    robber: socket.socket | None = None

    def environment(self) -> Mapping[str, str]:
        if self.robber is None:
            self.robber = socket.create_server(("127.0.0.1", self.ports["otlp"]))
        return super().environment()


def test_a_port_that_was_taken_meanwhile_is_exchanged_for_another(tmp_path: Path) -> None:
    with RobbedJaeger(tmp_path) as jaeger:
        assert jaeger.robber
        with jaeger.robber:
            assert jaeger.robber.getsockname()[1] not in jaeger.ports.values()
        assert jaeger.api.services() == []


def test_a_server_that_cannot_start_shows_its_log_at_once(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("receivers: {nonsense: {}}\n")
    collector = Collector(tmp_path, configs=(str(tmp_path / "bad.yaml"),))
    with pytest.raises(ServerError, match=r"(?s)otelcol did not become ready; the end of its log:\n.*nonsense"):
        collector.start()
    assert not collector.running


def test_a_failure_beside_a_running_server_shows_its_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LookupError), Prometheus(tmp_path):
        raise LookupError
    assert "Server is ready to receive web requests" in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_program_that_is_interrupted_while_it_starts_servers_leaves_none(
    tmp_path: Path, number: signal.Signals
) -> None:
    script = f"""
import signal
from pathlib import Path
from tests.stack.servers import stack
signal.signal(signal.SIGTERM, signal.default_int_handler)
with stack(Path({str(tmp_path)!r})):
    signal.pause()
"""
    program = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE)
    with program:
        log = tmp_path / "prometheus" / "prometheus.log"
        until(log.exists, "start of the second server")
        program.send_signal(number)
        assert program.wait(60) != 0
    assert processes_in(tmp_path) == []


def processes_in(folder: Path) -> list[int]:
    """By working folder, which every server has in its own."""
    return [process.pid for process in psutil.process_iter(["cwd"]) if str(folder) in (process.info["cwd"] or "")]
