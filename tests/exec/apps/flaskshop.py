"""An application of Flask that records a span by itself."""

from __future__ import annotations

from flask import Flask
from opentelemetry import trace

app = Flask(__name__)


@app.get("/items/<int:number>")
def give_out(number: int) -> str:
    with trace.get_tracer("shop").start_as_current_span("give out"):
        return str(number)
