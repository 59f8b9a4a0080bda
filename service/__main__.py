"""Command line: ``service`` serves; every flag has an environment variable of the same name."""

import logging.config
import signal
import sys
from typing import Never

import uvicorn
from pydantic import ValidationError
from pydantic_settings import SettingsError

from service.app import create_app
from service.engine import Engine, ModelFileError, ProviderError
from service.logs import log_config
from service.settings import Settings


def main() -> None:
    """Serve until SIGTERM or Ctrl-C. What prevents a start is one line and exit status 2."""
    settings = _settings(sys.argv[1:])
    logging.config.dictConfig(log_config(settings.log_level))
    logging.captureWarnings(True)  # Pillow warns of odd files; as JSON lines like everything else
    # Before the port is bound: a service that cannot answer must not look as if it could.
    try:
        engine = Engine.load(settings.model, settings.provider, settings.inference_threads)
    except (ModelFileError, ProviderError) as error:
        _refuse(str(error))
    # uvicorn drains, then raises the signal that stopped it once more; a clean stop is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        create_app(settings, engine),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_timeout_s,
    )


def _settings(arguments: list[str]) -> Settings:
    try:
        return Settings(_cli_parse_args=arguments)
    except ValidationError as error:
        _refuse(
            "; ".join(
                f"setting {'.'.join(map(str, item['loc'])).upper()}: {item['msg']}, not {str(item['input'])[:80]!r}"
                for item in error.errors()
            )
        )
    except SettingsError as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"the package holds no default model ({error.filename}: {error.strerror}); name one with --model")


def _refuse(message: str) -> Never:
    print(f"service: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(2)


if __name__ == "__main__":
    main()
