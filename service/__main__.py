"""Command line: ``service`` serves; every flag has an environment variable of the same name."""

import logging.config
import os
import sys
from typing import Never

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from service.logs import log_config
from service.settings import Settings, unknown_variables
from service.start import StartError, serve, serve_by_workers

_log = logging.getLogger("service")


def main() -> None:
    """Serve until SIGTERM or Ctrl-C. What prevents a start is one line and exit status 2."""
    settings = _settings(sys.argv[1:])
    logging.config.dictConfig(log_config(settings.log_level))
    logging.captureWarnings(True)  # Pillow warns of odd files; as JSON lines like everything else
    for name in unknown_variables(os.environ):
        _log.warning("unknown setting is ignored", extra={"setting": name})
    try:
        if settings.workers > 1:
            serve_by_workers(settings)
        else:
            serve(settings)
    except StartError as error:
        _refuse(str(error))


def _settings(arguments: list[str]) -> Settings:
    try:
        return Settings(_cli_parse_args=arguments)
    except ValidationError as error:
        # A default that is computed from a setting that is broken is no fault of its own.
        broken = [item for item in error.errors() if item["type"] != "default_factory_not_called"]
        _refuse("; ".join(_broken(item) for item in broken))
    except SettingsError as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"the package holds no default model ({error.filename}: {error.strerror}); name one with --model")


def _broken(error: ErrorDetails) -> str:
    name = ".".join(map(str, error["loc"]))
    flag, variable = f"--{name.replace('_', '-')}", f"SERVICE_{name.upper()}"
    return f"setting {flag} ({variable}): {error['msg']}, not {str(error['input'])[:80]!r}"


def _refuse(message: str) -> Never:
    print(f"service: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(2)


if __name__ == "__main__":
    main()
