"""One target under Atheris (libFuzzer for Python), with the flags of libFuzzer."""

import logging
import sys

import atheris

with atheris.instrument_imports(
    include=["service", "python_multipart", "uvicorn", "starlette"], enable_loader_override=False
):
    import starlette.routing

    import service.app
    import service.inference.engine
    import service.settings
    from tests.fuzz.targets import TARGETS

_GUIDED = (
    starlette.routing,
    service.app,
    service.inference.engine,
    service.settings,
)  # else a target would import them unguided


def main() -> None:
    target = TARGETS[sys.argv[1]]
    logging.disable(logging.CRITICAL)
    # Atheris counts an exception as a crash, and an input that it is given as bytes.
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
