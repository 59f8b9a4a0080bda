"""Single: one picture judged in the thread that asks, by the steps that the server takes."""

from service.contract.framing import FacePolicy
from service.contract.image import DecodedImage, decode
from service.contract.judgement import Judgement, judge
from service.contract.preparation import prepare
from service.contract.refusals import Limits
from service.engine import Engine


def judged(payload: bytes, engine: Engine, limits: Limits, policy: FacePolicy) -> tuple[Judgement, DecodedImage]:
    """Return the judgement on one picture, and the picture.

    Args:
        payload: a JPEG, PNG or WebP.
        engine: with a model that can be served by ``policy``.
        limits: what to refuse.
        policy: what is done about faces.

    Raises:
        ImageError: the picture is refused.
        FinderError: faces are to be found, and the finder does not load or run.
        InferenceError: the model fails.
    """
    image = decode(payload, limits, engine.spec.exif_policy)
    prepared = prepare(image, engine.spec.preprocessing, policy)
    return judge(engine.logits_in_parts(prepared.tensors), prepared, engine.spec, policy), image
