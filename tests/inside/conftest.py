"""The official instrumentation looks once at how it is told to record."""

import os

os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http"
