"""Logging configuration: one JSON object per line on standard error, with request ids and no image content."""

import logging
import logging.config
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS

access = logging.getLogger("service.access")


def log_config(level: str) -> dict[str, Any]:
    """Return the ``logging`` configuration for this package and uvicorn.

    uvicorn's access log is off: :class:`service.observability.request_log.RequestLog` writes one line per request,
    which also has the request id and the error code.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "fmt": "{levelname}{name}{message}",
                "style": "{",
                "rename_fields": {"levelname": "level", "name": "logger"},
                "timestamp": "time",
                "reserved_attrs": [*RESERVED_ATTRS, "color_message"],  # uvicorn's terminal colours
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "service": {"level": level.upper()},
            "uvicorn": {"level": level.upper()},
            "uvicorn.access": {"level": "ERROR"},
            "python_multipart": {"level": "ERROR"},  # the access log already reports malformed bodies
        },
    }
