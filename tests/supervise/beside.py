"""A companion for tests: says the settings it was given, then writes down what it is told, one line each.

Arguments: descriptor of the channel, settings (JSON), the file to write to, what was asked for again.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path


def main(number: str, settings: str, file: str, *again: str) -> None:
    asked = json.loads(settings)
    lines = Path(file)
    if asked.get("refuse"):
        sys.exit(asked["refuse"])
    channel = socket.socket(fileno=int(number))
    with lines.open("a") as told:
        told.write(json.dumps({"companion": os.getpid(), "again": again}) + "\n")
        told.flush()
        if asked.get("stubborn"):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        elif not asked.get("silent"):  # what was told before is still read
            signal.signal(signal.SIGTERM, lambda *_: channel.shutdown(socket.SHUT_RD))
        else:
            signal.pause()
        ready = {
            "ready": True,
            "grace": asked.get("grace", 10.0),
            "restart": asked.get("restart", {}),
            "environment": asked.get("environment", {}),
            "without": asked.get("without", []),
            "again": ["once more"],
        }
        channel.sendall(json.dumps(ready).encode() + b"\n")
        for line in channel.makefile():
            told.write(line)
            told.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
