"""Command line: ``service`` starts the server, ``service key`` creates API keys, ``service score`` scores files."""

import argparse
import logging.config
import os
import sys
from collections.abc import Callable
from typing import Never, TypeVar

try:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails
    from pydantic_settings import SettingsError

    from service.errors import StartError
    from service.observability.logs import log_config
    from service.server.start import serve
    from service.settings import Settings, unknown_variables
except ModuleNotFoundError as missing:
    sys.exit(f"service: {missing.name} is not installed; run `make serve`, or pip install '.'")

_log = logging.getLogger("service")
Loaded = TypeVar("Loaded")


def main() -> None:
    """Run the command that the first argument names; without one, serve."""
    command = _COMMANDS.get(sys.argv[1]) if len(sys.argv) > 1 else None
    if command:
        command(sys.argv[2:])
    else:
        _serve()


def _key(arguments: list[str]) -> None:
    """Print a new API key to standard error and its line for the key file to standard output."""
    from service.lifecycle.keys import KeysError, new_key

    parser = argparse.ArgumentParser(
        prog="service key",
        description="Create an API key. Its line for the key file goes to standard output; the key itself goes to "
        "standard error and is not stored.",
    )
    parser.add_argument("name", help="name of the key's holder; logged with each request")
    try:
        key, line = new_key(parser.parse_args(arguments).name)
    except KeysError as error:
        _fail(str(error))
    print(line)  # noqa: T201
    print(key, file=sys.stderr)  # noqa: T201


def _score(arguments: list[str]) -> None:
    """Score files and folders into one file.

    Exit status 2, with a one-line message: the run cannot start or continue; 130: Ctrl-C; 1: the model failed on
    some files.
    """
    from service.offline.score_options import from_command_line

    paths, options = _load_settings(lambda: from_command_line(arguments))
    logging.config.dictConfig(log_config("error"))  # only errors that are not a picture's fault
    try:
        from service.errors import ScoreError
        from service.offline.score_command import score

        try:
            failed = score(paths, options)
        except ScoreError as error:
            _fail(str(error))
    except KeyboardInterrupt:
        print("service: stopped; run it again with --resume (instead of --overwrite) to continue", file=sys.stderr)  # noqa: T201
        sys.exit(130)
    if failed:
        print(f"service: {failed} files have no verdict because the model or the service failed", file=sys.stderr)  # noqa: T201
        sys.exit(1)


_COMMANDS = {"key": _key, "score": _score}


def _serve() -> None:
    """Serve until SIGTERM or Ctrl-C; a failed start is a one-line message and exit status 2."""
    settings = _load_settings(lambda: Settings(_cli_parse_args=sys.argv[1:]))
    logging.config.dictConfig(log_config(settings.log_level))
    logging.captureWarnings(True)  # Pillow's warnings about odd files become JSON lines too
    for name in unknown_variables(os.environ):
        _log.warning("unknown setting is ignored", extra={"setting": name})
    try:
        serve(settings)
    except StartError as error:
        _fail(str(error))


def _load_settings(load: Callable[[], Loaded]) -> Loaded:
    try:
        return load()
    except ValidationError as error:
        # A default that depends on an invalid setting is not an error of its own.
        invalid = [item for item in error.errors() if item["type"] != "default_factory_not_called"]
        _fail("; ".join(_setting_error(item) for item in invalid))
    except SettingsError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"the package contains no default model ({error.filename}: {error.strerror}); set --model")


def _setting_error(error: ErrorDetails) -> str:
    name = ".".join(map(str, error["loc"]))
    flag, variable = f"--{name.replace('_', '-')}", f"SERVICE_{name.upper()}"
    if error["type"] == "missing":
        return f"setting {flag} ({variable}): is missing"
    return (
        f"setting {flag} ({variable}): {error['msg'].removeprefix('Value error, ')}; got {str(error['input'])[:80]!r}"
    )


def _fail(message: str) -> Never:
    print(f"service: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(2)


if __name__ == "__main__":
    main()
