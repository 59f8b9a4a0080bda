"""Comparison with other servers, and load by wrk."""
