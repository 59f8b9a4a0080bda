"""The configuration of a run, ``config.json``: what a fit was asked for, and what it learned about its data."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from trainer.common.errors import TrainerError
from trainer.common.files import write_json
from trainer.common.run import Run, read_json
from trainer.recipes.recipe import Recipe

SplitRule = Literal["stratified", "as-published"]
GroupRule = Literal["listed", "folders"]
# Without these keys a file is no configuration; the others have been added since the first runs.
_REQUIRED = ("recipe", "seed", "split", "version", "dataset", "library_versions", "commit")


@dataclass(frozen=True, slots=True)
class DataFacts:
    """Data folders of a run.

    Attributes:
        roots: paths of the folders.
        fingerprint: SHA-256 over the samples, hexadecimal (:meth:`trainer.data.dataset.Dataset.fingerprint`).
        counts: pictures by ``source/label``.
        left_out: files that were left out.
    """

    roots: tuple[str, ...]
    fingerprint: str
    counts: dict[str, int]
    left_out: int = 0

    @property
    def sources(self) -> list[str]:
        """Names of the sources, sorted."""
        return sorted(self.by_source())

    def by_source(self) -> dict[str, int]:
        """Return pictures by source, all labels together."""
        totals: dict[str, int] = {}
        for name, count in sorted(self.counts.items()):
            source = name.rsplit("/", 1)[0]
            totals[source] = totals.get(source, 0) + count
        return totals


@dataclass(frozen=True, slots=True)
class FramingFacts:
    """How the faces of the training pictures are framed.

    Attributes:
        finder: name of the face finder.
        pictures: training pictures.
        with_face: of these, with a face.
        median_margin: shorter side of the picture as a multiple of the face's longer side; None without a face.
    """

    finder: str
    pictures: int
    with_face: int
    median_margin: float | None


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Settings and facts of one run; the keys of ``config.json`` have the names of the fields.

    Attributes:
        recipe: with all overrides applied.
        seed: of weights, data order and augmentation, and of the split where ``split_seed`` is None.
        split: rule of the split.
        version: of the model.
        dataset: what is trained and tested on.
        library_versions: by package.
        commit: of the code, or ``unknown``.
        split_seed: of the split.
        groups: which pictures were kept together; None in runs from before there were groups.
        holdout: sources that are in no part.
        outliers: pictures that are neither real nor fake.
        backend: of Keras.
        faces: framing of the training pictures.
        split_sha256: digest of ``split.csv``.
        audit: summary of the audit.
        after_preprocessing: shortcut scores of the training tensors.
        epochs: epochs finished; None while the fit is running.
        kept_epoch: the epoch that became the model; None likewise.
    """

    recipe: Recipe
    seed: int
    split: SplitRule
    version: str
    dataset: DataFacts
    library_versions: dict[str, str]
    commit: str
    split_seed: int | None = None
    groups: str | None = None
    holdout: tuple[str, ...] = ()
    outliers: DataFacts = field(default_factory=lambda: DataFacts((), "", {}))
    backend: str | None = None
    faces: FramingFacts | None = None
    split_sha256: str | None = None
    audit: dict[str, Any] | None = None
    after_preprocessing: dict[str, Any] | None = None
    epochs: int | None = None
    kept_epoch: int | None = None

    @property
    def seed_of_split(self) -> int:
        """The seed that the split was drawn by."""
        return self.seed if self.split_seed is None else self.split_seed

    @property
    def trained_counts(self) -> dict[str, int]:
        """Pictures by ``source/label``, without the sources held out."""
        return {name: n for name, n in self.dataset.counts.items() if name.rsplit("/", 1)[0] not in self.holdout}


_ADAPTER = TypeAdapter(RunConfig)


def read_run_config(run: Run) -> RunConfig:
    """Read and validate ``config.json``.

    Raises:
        TrainerError: the folder is no run, or a key is missing or malformed; the message names it.
    """
    refusal = f"'{run.folder}' is not a run folder"
    values = read_json(run.config, refusal, _REQUIRED)
    try:
        return _ADAPTER.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        detail = f"{run.config.name}: {key} is {repr(first['input'])[:80]}: {first['msg']}"
        raise TrainerError(f"{refusal}: {detail}") from None


def write_run_config(run: Run, config: RunConfig) -> None:
    """Validate and write ``config.json``; fields that are None are left out."""
    values = asdict(_ADAPTER.validate_python(config))
    write_json(run.config, {key: value for key, value in values.items() if value is not None})
