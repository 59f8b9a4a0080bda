"""Command line: ``service`` serves; every flag has an environment variable of the same name."""

import logging.config
import os
import signal
import socket
import sys
from typing import Never

import uvicorn
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from service.app import create_app
from service.contract.spec import SpecError
from service.contract.yunet import FinderError
from service.engine import Engine, ModelFileError, ProviderError
from service.logs import log_config
from service.settings import Settings, unknown_variables

_log = logging.getLogger("service")


def main() -> None:
    """Serve until SIGTERM or Ctrl-C. What prevents a start is one line and exit status 2."""
    settings = _settings(sys.argv[1:])
    logging.config.dictConfig(log_config(settings.log_level))
    logging.captureWarnings(True)  # Pillow warns of odd files; as JSON lines like everything else
    for name in unknown_variables(os.environ):
        _log.warning("unknown setting is ignored", extra={"setting": name})
    # Before the port is bound: a service that cannot answer must not look as if it could.
    try:
        engine = Engine.load(settings.model, settings.provider, settings.inference_threads)
        app = create_app(settings, engine)
    except (ModelFileError, ProviderError, FinderError) as error:
        _refuse(str(error))
    except SpecError as error:
        _refuse(f"setting --faces (SERVICE_FACES): {settings.faces} does not go with the model: {error}")
    listener = _listen(settings.host, settings.port)
    # uvicorn drains, then raises the signal that stopped it once more; a clean stop is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_timeout_s,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _settings(arguments: list[str]) -> Settings:
    try:
        return Settings(_cli_parse_args=arguments)
    except ValidationError as error:
        _refuse("; ".join(_broken(item) for item in error.errors()))
    except SettingsError as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"the package holds no default model ({error.filename}: {error.strerror}); name one with --model")


def _broken(error: ErrorDetails) -> str:
    name = ".".join(map(str, error["loc"]))
    flag, variable = f"--{name.replace('_', '-')}", f"SERVICE_{name.upper()}"
    return f"setting {flag} ({variable}): {error['msg']}, not {str(error['input'])[:80]!r}"


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        _refuse(f"cannot listen on {host} port {port}: {error.strerror}")
    return listener


def _refuse(message: str) -> Never:
    print(f"service: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(2)


if __name__ == "__main__":
    main()
