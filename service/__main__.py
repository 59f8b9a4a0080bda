"""Command line: ``service`` serves, and every flag has an environment twin; ``service key`` makes API keys."""

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
    sys.exit(f"service: {missing.name} is not installed here; `make serve` makes an environment, or pip install '.'")

_log = logging.getLogger("service")
Chosen = TypeVar("Chosen")


def main() -> None:
    """Run the command that the first argument names; without one, serve."""
    command = _COMMANDS.get(sys.argv[1]) if len(sys.argv) > 1 else None
    if command:
        command(sys.argv[2:])
    else:
        _serve()


def _key(arguments: list[str]) -> None:
    """Print the line for the file of API keys, and beside it, once, the key."""
    from service.lifecycle.keys import KeysError, new_key

    parser = argparse.ArgumentParser(
        prog="service key",
        description="Make an API key: the line for the file of keys goes to the standard output, the key itself, which "
        "is kept nowhere, to the standard error.",
    )
    parser.add_argument("name", help="whose key it is; the log names it with each request")
    try:
        key, line = new_key(parser.parse_args(arguments).name)
    except KeysError as error:
        _refuse(str(error))
    print(line)  # noqa: T201
    print(key, file=sys.stderr)  # noqa: T201


def _score(arguments: list[str]) -> None:
    """Score files and folders into one file.

    What prevents it is one line and exit status 2. Ctrl-C is 130, and 1 says that the model failed on some files.
    """
    from service.offline.score_options import from_command_line

    paths, options = _settings(lambda: from_command_line(arguments))
    logging.config.dictConfig(log_config("error"))  # of what is no fault of a picture
    try:
        from service.offline.score_command import score
        from service.offline.score_error import ScoreError

        try:
            failed = score(paths, options)
        except ScoreError as error:
            _refuse(str(error))
    except KeyboardInterrupt:
        print("service: stopped; the same command with --resume (in place of --overwrite) goes on", file=sys.stderr)  # noqa: T201
        sys.exit(130)
    if failed:
        print(f"service: {failed} files have no verdict for no fault of theirs", file=sys.stderr)  # noqa: T201
        sys.exit(1)


_COMMANDS = {"key": _key, "score": _score}


def _serve() -> None:
    """Serve until SIGTERM or Ctrl-C. What prevents a start is one line and exit status 2."""
    settings = _settings(lambda: Settings(_cli_parse_args=sys.argv[1:]))
    logging.config.dictConfig(log_config(settings.log_level))
    logging.captureWarnings(True)  # Pillow warns of odd files; as JSON lines like everything else
    for name in unknown_variables(os.environ):
        _log.warning("unknown setting is ignored", extra={"setting": name})
    try:
        serve(settings)
    except StartError as error:
        _refuse(str(error))


def _settings(choose: Callable[[], Chosen]) -> Chosen:
    try:
        return choose()
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
    if error["type"] == "missing":
        return f"setting {flag} ({variable}): is missing"
    return (
        f"setting {flag} ({variable}): {error['msg'].removeprefix('Value error, ')}, not {str(error['input'])[:80]!r}"
    )


def _refuse(message: str) -> Never:
    print(f"service: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(2)


if __name__ == "__main__":
    main()
