"""Launch: the application that the settings ask for, or one line on why it cannot be."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from service.contract.faces.yunet import FinderError
from service.inference.model_file import ModelFileError
from service.inference.session import ProviderError
from service.model_settings import ProvenanceError
from service.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI


class StartError(Exception):
    """The service cannot start; the message says why in one line."""


def load(settings: Settings, content: bytes | None = None, reread: Callable[[], bytes] | None = None) -> "FastAPI":
    """Return the application around the model that the settings name.

    Args:
        settings: all of them.
        content: of the model file, where it has been read already.
        reread: returns those of a new one, on SIGHUP; default: of the same path.

    Raises:
        StartError: it cannot be.
    """
    # Not needed by the process that only starts workers.
    from service.app import create_app
    from service.inference.engine import load_engine
    from service.lifecycle.keys import KeysError
    from service.observability.telemetry import TelemetryError

    try:
        return create_app(settings, load_engine(settings, content), reread)
    except (ModelFileError, ProviderError, FinderError) as error:
        raise StartError(str(error)) from None
    except KeysError as error:
        raise StartError(f"setting --api-keys (SERVICE_API_KEYS): {error}") from None
    except ProvenanceError as error:
        raise StartError(f"setting --trust-anchors (SERVICE_TRUST_ANCHORS): {error}") from None
    except OSError as error:
        raise StartError(
            f"setting --metrics-dir (SERVICE_METRICS_DIR): no room for the series: {error.strerror}"
        ) from None
    except TelemetryError as error:
        raise StartError(f"setting --telemetry (SERVICE_TELEMETRY): {error}") from None
