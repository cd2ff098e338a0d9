"""A Celery application whose worker gives itself one task, over a folder instead of a broker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery import Celery  # type: ignore[import-not-found]  # the environment of `auto` alone has it
from celery.signals import worker_ready  # type: ignore[import-not-found]  # same

folder = Path("tasks")
folder.mkdir(exist_ok=True)
app = Celery("shop", broker="filesystem://")
app.conf.broker_transport_options = {"data_folder_in": str(folder), "data_folder_out": str(folder)}


@app.task  # type: ignore[untyped-decorator]  # Celery has no types
def work() -> None:
    pass


@worker_ready.connect  # type: ignore[untyped-decorator]  # Celery has no types
def give_out(**_: Any) -> None:
    work.delay()
