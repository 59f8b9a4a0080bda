"""Observability: one JSON log line per request, Prometheus metrics and OpenTelemetry spans.

In: the outcome of a request and the duration of each stage. Out: log lines, time series and spans.
May import: ``service.settings`` and ``service.errors``.
"""
