"""Loading: the engine that the settings ask for, around a model file that may be served by them."""

from service.contract.faces.framing import check_mode
from service.contract.spec import SpecError
from service.inference.engine import Engine
from service.inference.model_file import ModelFileError
from service.inference.session import Cuda
from service.model_settings import ModelOptions


def load_engine(settings: ModelOptions, content: bytes | None = None) -> Engine:
    """Return the engine, proven.

    Args:
        settings: which model, and where it runs.
        content: of the model file, where it has been read already.

    Raises:
        ModelFileError: the file cannot be read, is refused, or does not go with ``faces``.
        ProviderError: the execution provider that was asked for is not active.
    """
    engine = Engine.load(
        settings.model,
        settings.provider,
        settings.inference_threads,
        Cuda(settings.cuda_device, settings.cuda_memory_mib),
        settings.max_batch,
        settings.model_sha256,
        settings.model_public_key,
        content,
    )
    try:
        check_mode(engine.spec, settings.faces)
    except SpecError as error:
        raise ModelFileError(
            f"setting --faces (SERVICE_FACES): {settings.faces} does not go with the model: {error}"
        ) from None
    return engine
