"""ModelSpec: the metadata of a served model, to and from ONNX ``metadata_props``.

ONNX stores metadata as a flat map of strings, so every field is one key with a JSON value
(``0.87``, ``["real", "fake"]``). ``SPEC_VERSION`` is the version of this layout.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal

from service.contract import spec_rules

SPEC_VERSION = 1
_MAX_DEPTH = 32

OutputKind = Literal["softmax", "sigmoid"]
# Left, top, right and bottom, pixels, not rounded.
Box = tuple[float, float, float, float]
ResizeFilter = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
ResizeFit = Literal["stretch", "crop"]
ExifPolicy = Literal["apply", "ignore"]
Framing = Literal["whole", "face"]
Precision = Literal["float32", "float16", "int8"]


class SpecError(ValueError):
    """Missing, malformed or contradictory metadata; ``key`` names the entry."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"model metadata '{key}': {problem}")
        self.key = key
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Steps from a picture to the model's input; the same in training and serving.

    Attributes:
        input_height: rows of the input tensor, pixels.
        input_width: columns of the input tensor, pixels.
        resize_filter: Pillow resampling filter; all except ``nearest`` are antialiased.
        resize_fit: ``stretch`` to the input size, or ``crop``: scale until the picture just covers
            the input size, then cut the centre.
        exif_policy: whether the EXIF orientation is applied before the resize.
        framing: what is resized: the ``whole`` picture, or a square around its largest ``face``
            (the whole picture if no face is found).
        face_margin: side of that square, as a multiple of the face box's longer side. For
            ``whole`` the median of the training pictures, so that a face can be cut out of a
            photo with the same margin; None if unknown.
        face_finder: the finder whose boxes ``face_margin`` refers to; empty without a margin.
    """

    input_height: int
    input_width: int
    resize_filter: ResizeFilter
    resize_fit: ResizeFit
    exif_policy: ExifPolicy
    framing: Framing = "whole"
    face_margin: float | None = None
    face_finder: str = ""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The metadata of one model file. Construction validates every field.

    Attributes:
        name: model name, letters, digits, ``.``, ``_``, ``-``; at most 64.
        version: model version, same alphabet.
        class_names: the two class names in output order.
        fake_class: the member of ``class_names`` that means AI-generated.
        output_kind: how logits become probabilities: ``softmax`` over both, or one ``sigmoid`` per class.
        input_height, input_width, resize_filter, resize_fit, exif_policy, framing, face_margin,
            face_finder: see :class:`Preprocessing`; models of files without the last three were
            trained on whole pictures.
        temperature: divisor of the logits (Guo et al. 2017, arXiv:1706.04599);
            in [0.001, 1000].
        threshold_real: P(fake) at or below it gives the verdict real; in [0, 1].
        threshold_fake: P(fake) at or above it gives the verdict fake; in [threshold_real, 1].
        threshold_rule: description of how the thresholds were chosen.
        dataset_fingerprint: SHA-256 over the training data, hexadecimal.
        dataset_counts: number of images by ``source/class``.
        recipe: the recipe's name and settings.
        metrics: metrics on the test split.
        library_versions: package name to version, as used in training.
        commit: commit of the training code, or ``unknown``.
        calibration: basis of temperature and thresholds: images, calibration error before and
            after, 95 % intervals; empty if no images were held out for calibration or the file
            lacks the key.
        precision: type of the weights and of most of the arithmetic; ``float32`` if the file lacks the key.

    Raises:
        SpecError: a field breaks its rule; the message names the key, the value and the limit.
    """

    name: str
    version: str
    class_names: tuple[str, str]
    fake_class: str
    output_kind: OutputKind
    input_height: int
    input_width: int
    resize_filter: ResizeFilter
    resize_fit: ResizeFit
    exif_policy: ExifPolicy
    temperature: float
    threshold_real: float
    threshold_fake: float
    threshold_rule: str
    dataset_fingerprint: str
    dataset_counts: dict[str, int]
    recipe: dict[str, Any]
    metrics: dict[str, Any]
    library_versions: dict[str, str]
    commit: str
    calibration: dict[str, Any] = field(default_factory=dict)
    framing: Framing = "whole"
    face_margin: float | None = None
    face_finder: str = ""
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for key in _RULES:
            check_field(key, getattr(self, key))
        if self.fake_class not in self.class_names:
            raise SpecError("fake_class", f"{self.fake_class!r} is not one of {self.class_names}")
        if self.threshold_fake < self.threshold_real:
            raise SpecError(
                "threshold_fake",
                f"{self.threshold_fake} is below threshold_real {self.threshold_real}",
            )
        if self.framing == "face" and self.face_margin is None:
            raise SpecError("face_margin", "is missing; framing 'face' needs it")
        if self.face_margin is not None and self.input_height != self.input_width:
            raise SpecError("face_margin", f"needs a square input, not {self.input_height} x {self.input_width}")
        if (self.face_margin is None) != (not self.face_finder):
            raise SpecError(
                "face_finder", f"{self.face_finder!r} with face_margin {self.face_margin}: set both or neither"
            )

    @property
    def fake_index(self) -> int:
        """Column of the fake class in the logits."""
        return self.class_names.index(self.fake_class)

    @property
    def preprocessing(self) -> Preprocessing:
        """The fields that describe the preprocessing."""
        return Preprocessing(**{item.name: getattr(self, item.name) for item in fields(Preprocessing)})

    def to_metadata(self) -> dict[str, str]:
        """Return the ONNX ``metadata_props``: one JSON value per field, plus ``spec_version``."""
        metadata = {"spec_version": json.dumps(SPEC_VERSION)}
        for item in fields(self):
            metadata[item.name] = json.dumps(getattr(self, item.name), sort_keys=True, allow_nan=False)
        return metadata

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "ModelSpec":
        """Read a spec from metadata; unknown keys are ignored.

        Raises:
            SpecError: a key is missing, is not JSON, or breaks its rule.
        """
        version = _value(metadata, "spec_version")
        if version != SPEC_VERSION:
            raise SpecError("spec_version", f"{version!r} is not supported; the supported version is {SPEC_VERSION}")
        required = {f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING}
        values = {
            item.name: _value(metadata, item.name)
            for item in fields(cls)
            if item.name in metadata or item.name in required
        }
        if isinstance(values["class_names"], list):
            values["class_names"] = tuple(values["class_names"])
        return cls(**values)


def check_field(key: str, value: Any) -> None:
    """Validate one value against the rule of its field.

    Raises:
        SpecError: the value breaks the rule.
    """
    problem = _RULES[key](value)
    if problem:
        raise SpecError(key, problem)


def _value(metadata: Mapping[str, str], key: str) -> Any:
    if key not in metadata:
        raise SpecError(key, "is missing")
    try:
        value = json.loads(metadata[key], parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is valid JSON but not valid text
    except (ValueError, RecursionError):
        raise SpecError(key, f"{metadata[key][:80]!r} is not JSON") from None
    if _depth(value) > _MAX_DEPTH:
        raise SpecError(key, f"is nested more than {_MAX_DEPTH} levels deep")
    return value


def _depth(value: Any) -> int:
    """Return the nesting depth of lists and maps, counted up to one above the limit."""
    depth, level = 0, [value]
    while level and depth <= _MAX_DEPTH:
        level = [
            item
            for container in level
            if isinstance(container, dict | list)
            for item in (container.values() if isinstance(container, dict) else container)
        ]
        depth += 1
    return depth


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_RULES: dict[str, spec_rules.Rule] = {
    "name": spec_rules.name,
    "version": spec_rules.name,
    "class_names": spec_rules.two_names,
    "fake_class": spec_rules.name,
    "output_kind": spec_rules.one_of(OutputKind),
    "input_height": spec_rules.side,
    "input_width": spec_rules.side,
    "resize_filter": spec_rules.one_of(ResizeFilter),
    "resize_fit": spec_rules.one_of(ResizeFit),
    "exif_policy": spec_rules.one_of(ExifPolicy),
    "temperature": spec_rules.number(0.001, 1000),
    "threshold_real": spec_rules.number(0, 1),
    "threshold_fake": spec_rules.number(0, 1),
    "threshold_rule": spec_rules.text,
    "dataset_fingerprint": spec_rules.sha256,
    "dataset_counts": spec_rules.counts,
    "recipe": spec_rules.mapping,
    "metrics": spec_rules.mapping,
    "library_versions": spec_rules.text_map,
    "commit": spec_rules.text,
    "calibration": spec_rules.mapping,
    "framing": spec_rules.one_of(Framing),
    "face_margin": spec_rules.or_none(spec_rules.number(0.5, 8)),
    "face_finder": spec_rules.or_empty(spec_rules.name),
    "precision": spec_rules.one_of(Precision),
}
