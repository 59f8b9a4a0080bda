"""What an operator sees: one JSON log line a request, Prometheus metrics, OpenTelemetry spans.

In: what happened to a request, and how long each stage took. Out: log lines, time series and spans.
May import: ``service.settings`` and ``service.errors``.
"""
