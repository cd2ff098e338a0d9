"""The demo: a service, its health agent, and the real Collector, Jaeger and Prometheus, started by `make demo`."""
