from __future__ import annotations

import gc
import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from otelhealth.cli.main import main
from otelhealth.cli.probe import default_url


@contextmanager
def answering(code: int, body: bytes, tls: trustme.LeafCert | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("code", "status", "exit_code"),
    [(200, "healthy", 0), (200, "degraded", 0), (503, "unhealthy", 1), (503, "critical", 1), (503, "healthy", 1)],
)
def test_probe_ends_with_0_only_when_the_agent_is_healthy_or_degraded(code: int, status: str, exit_code: int) -> None:
    with answering(code, json.dumps({"status": status}).encode()) as url:
        assert main(["probe", url]) == exit_code


def test_probe_knows_no_exit_code_but_0_and_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["probe", "--timeout", "soon"])
    assert ended.value.code == 1
    assert "invalid float value: 'soon'; see otelhealth probe --help" in capsys.readouterr().err


def test_probe_says_who_did_not_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "http://127.0.0.1:1/health", "--timeout", "2"]) == 1
    said = "http://127.0.0.1:1/health: Connection refused; is `otelhealth run` there? else: otelhealth probe URL\n"
    assert capsys.readouterr().err == said


def test_probe_asks_over_tls_whom_the_machine_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known, strange = trustme.CA(), trustme.CA()
    known.cert_pem.write_to_path(str(tmp_path / "known.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "known.pem"))
    with answering(200, b'{"status": "healthy"}', known.issue_cert("127.0.0.1")) as url:
        assert main(["probe", url]) == 0
    with answering(200, b'{"status": "healthy"}', strange.issue_cert("127.0.0.1")) as url:
        assert main(["probe", url]) == 1
    assert "certificate verify failed" in capsys.readouterr().err


def test_probe_says_that_what_answers_speaks_no_http(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"220 mail.example\r\n")
                connection.recv(1000)

        greeting = threading.Thread(target=greet)
        greeting.start()
        assert main(["probe", url]) == 1
        greeting.join()
    assert f"{url}: no answer in HTTP; " in capsys.readouterr().err


def test_probe_says_that_another_program_answers(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(404, b"not here") as url:
        assert main(["probe", url]) == 1
        assert capsys.readouterr().out == f"{url}: HTTP 404, by no otelhealth\n"


def test_probe_reads_where_the_agent_listens_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTELHEALTH_SERVER__LISTEN", "0.0.0.0:9000")
    assert default_url() == "http://127.0.0.1:9000/health"


def test_probe_imports_the_standard_library_only() -> None:
    script = (
        "import sys; from otelhealth.cli.main import main; main(['probe', 'http://127.0.0.1:1/']);"
        "foreign = {m.split('.')[0] for m in sys.modules} - set(sys.stdlib_module_names) - {'otelhealth', '__main__'};"
        "print(sorted(m for m in foreign if not m.startswith(('_', 'sitecustomize', 'distutils'))))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_command_ends_with_3_and_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rum"]) == 3
    said = capsys.readouterr().err
    assert "unknown command 'rum'" in said
    assert "validate" in said


def test_a_command_leaves_the_garbage_collector_on() -> None:
    main(["probe", "http://127.0.0.1:1/"])
    assert gc.isenabled()


def test_a_usage_error_of_any_other_command_ends_with_3() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["check", "--nonsense"])
    assert caught.value.code == 3
