"""A receiver that speaks TLS, with a certificate of its own authority."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

import trustme


class SecureReceiver:
    """Answers 200, one request on each connection."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(self.ca)
        self.use(self.authority.issue_cert("127.0.0.1"))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def use(self, certificate: trustme.LeafCert, clients: trustme.CA | None = None) -> None:
        """From now on, with clients that show a certificate of theirs, where that authority is told."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(context)
        if clients is not None:
            clients.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        self._context = context

    def _answer(self) -> None:
        while True:
            try:
                peer, _ = self._server.accept()
            except OSError:
                return
            with suppress(OSError), self._context.wrap_socket(peer, True, do_handshake_on_connect=False) as secure:
                try:
                    secure.do_handshake()
                except ssl.SSLError:  # let the client read why, though it may be sending already
                    secure.shutdown(socket.SHUT_WR)
                    while secure.recv(65536):
                        pass
                else:
                    secure.recv(65536)
                    secure.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()
