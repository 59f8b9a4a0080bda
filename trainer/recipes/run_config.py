"""Configuration of a run, ``config.json``: settings of the fit and facts about its data."""

import functools
import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from trainer.common.errors import TrainerError
from trainer.common.files import write_json
from trainer.common.run import Run, read_json
from trainer.recipes.recipe import Recipe

SplitRule = Literal["stratified", "as-published"]
GroupRule = Literal["listed", "folders"]
# Keys of the first version; later keys are optional, so that old runs can be read.
_REQUIRED = ("recipe", "seed", "split", "version", "dataset", "library_versions", "commit")


@dataclass(frozen=True, slots=True)
class DataFacts:
    """Data folders of a run.

    Attributes:
        fingerprint: SHA-256 over the samples, hexadecimal (:meth:`trainer.data.dataset.Dataset.fingerprint`).
        counts: number of pictures by ``source/label``.
        roots: paths of the folders.
        left_out: number of files that were left out.
    """

    fingerprint: str
    counts: dict[str, int]
    roots: tuple[str, ...] = ()
    left_out: int = 0

    @property
    def sources(self) -> list[str]:
        """Names of the sources, sorted."""
        return sorted(self.by_source())

    def by_source(self) -> dict[str, int]:
        """Return the number of pictures by source, over all labels."""
        totals: dict[str, int] = {}
        for name, count in sorted(self.counts.items()):
            source = name.rsplit("/", 1)[0]
            totals[source] = totals.get(source, 0) + count
        return totals


@dataclass(frozen=True, slots=True)
class FramingFacts:
    """Framing of the faces in the training pictures.

    Attributes:
        finder: name of the face finder.
        pictures: number of training pictures.
        with_face: number of training pictures with a face.
        median_margin: median of the picture's shorter side as a multiple of the face's longer side; None without a
            face.
    """

    finder: str
    pictures: int
    with_face: int
    median_margin: float | None


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Settings and facts of one run; the keys of ``config.json`` have the names of the fields.

    Attributes:
        recipe: recipe with all overrides applied.
        seed: seed of weights, data order and augmentation, and of the split if ``split_seed`` is None.
        split: rule of the split.
        version: version of the model.
        dataset: data for training and testing.
        library_versions: versions by package.
        commit: commit of the code, or ``unknown``.
        split_seed: seed of the split.
        groups: rule that keeps pictures together; None in runs of versions without groups.
        holdout: sources that are left out of every part.
        outliers: pictures that are neither real nor fake.
        backend: Keras backend.
        faces: framing of the training pictures.
        split_sha256: digest of ``split.csv``.
        audit: summary of the audit.
        after_preprocessing: shortcut scores of the training tensors.
        epochs: number of finished epochs; None while the fit is running.
        kept_epoch: the epoch that became the model; None while the fit is running.
    """

    recipe: Recipe
    seed: int
    split: SplitRule
    version: str
    dataset: DataFacts
    library_versions: dict[str, str]
    commit: str
    split_seed: int | None = None
    groups: GroupRule | None = None
    holdout: tuple[str, ...] = ()
    outliers: DataFacts = DataFacts(hashlib.sha256().hexdigest(), {})
    backend: str | None = None
    faces: FramingFacts | None = None
    split_sha256: str | None = None
    audit: dict[str, Any] | None = None
    after_preprocessing: dict[str, Any] | None = None
    epochs: int | None = None
    kept_epoch: int | None = None

    @property
    def seed_of_split(self) -> int:
        """Seed of the split."""
        return self.seed if self.split_seed is None else self.split_seed

    @property
    def trained_counts(self) -> dict[str, int]:
        """Number of pictures by ``source/label``, without the held-out sources."""
        return {name: n for name, n in self.dataset.counts.items() if name.rsplit("/", 1)[0] not in self.holdout}


@functools.cache
def _adapter() -> TypeAdapter[RunConfig]:
    return TypeAdapter(RunConfig)  # not at import: every command imports this module


def read_run_config(run: Run) -> RunConfig:
    """Read and validate ``config.json``.

    Raises:
        TrainerError: the folder is no run, or a key is missing, malformed or unknown; the message names it.
    """
    refusal = f"'{run.folder}' is not a run folder"
    values = read_json(run.config, refusal, _REQUIRED)
    config = _validated(values, f"{refusal}: {run.config.name}")
    return replace(
        config,
        dataset=replace(config.dataset, roots=_roots(values, "dataset")),
        outliers=replace(config.outliers, roots=_roots(values, "outliers")),
    )


def write_run_config(run: Run, config: RunConfig) -> None:
    """Validate and write ``config.json``; unknown keys of the file are kept, except in the recipe, which has none.

    Raises:
        TrainerError: a value does not fit its key; nothing is written.
    """
    _validated(asdict(config), str(run.config))
    existing = read_json(run.config, str(run.config)) if run.config.exists() else {}
    values = config_values(config)
    known = {field.name for field in fields(RunConfig)}
    unknown = {key: value for key, value in existing.items() if key not in known}
    nested = {key: existing.get(key, {}) | values[key] for key in ("dataset", "outliers", "faces") if key in values}
    write_json(run.config, values | nested | unknown)


def config_values(config: RunConfig) -> dict[str, Any]:
    """Return a configuration as JSON values; fields that are None are left out."""
    return {key: value for key, value in asdict(config).items() if value is not None}


def _roots(values: dict[str, Any], key: str) -> tuple[str, ...]:
    """Return the paths of data folders as they are in the file."""
    return tuple(values.get(key, {}).get("roots", ()))


def _validated(values: dict[str, Any], refusal: str) -> RunConfig:
    # As JSON, in which strict validation takes a list for a tuple, but no "1" and no true for 1. Paths of folders
    # may hold bytes that are not UTF-8; for the validation they are replaced.
    document = json.dumps(values, ensure_ascii=False).encode("utf-8", "replace")
    try:
        return _adapter().validate_json(document, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        problem = {"missing": "is missing", "unexpected_keyword_argument": "is unknown"}.get(
            first["type"], f"is {repr(first['input'])[:80]}: {first['msg']}"
        )
        raise TrainerError(f"{refusal}: {key} {problem}") from None
