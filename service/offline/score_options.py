"""Options of ``service score``; those that it shares with the server have the same ``SERVICE_…`` variables."""

import argparse
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import CliImplicitFlag, CliSettingsSource

from service.limits import Capacity
from service.model_settings import ModelSettings
from service.resources import cpu_count

Format = Literal["jsonl", "csv", "parquet"]
# A picture waits for as long as it takes: nobody else does.
_PATIENCE_S = 1e6


def _threads(data: dict[str, Any]) -> int:
    return 1 if data.get("engine") == "ray" else cpu_count()


class ScoreOptions(ModelSettings):
    """Score pictures and videos into one file of verdicts, a row each; what cannot be read is a row that says so."""

    output: Annotated[
        Path,
        Field(description="File to write, .jsonl, .csv or .parquet; while it grows, its rows are in NAME.journal."),
    ]
    resume: Annotated[
        CliImplicitFlag[bool], Field(description="Go on with a run that was cut off; nothing is scored twice.")
    ] = False
    overwrite: Annotated[
        CliImplicitFlag[bool],
        Field(description="Replace the output, and an unfinished run's journal, if there are any."),
    ] = False
    engine: Annotated[
        Literal["local", "ray"],
        Field(description="local: this process; ray: workers of a Ray cluster, which needs the extra 'bulk'."),
    ] = "local"
    threads: Annotated[
        int,
        Field(ge=1, le=1024, description="Pictures worked on at once; with 'ray' by each worker."),
    ] = Field(default_factory=_threads)
    ray_address: Annotated[
        str | None,
        Field(
            description="Of the cluster whose node this is: HOST:PORT of its head, or auto; default: one that is "
            "started here, and ends."
        ),
    ] = None
    max_video_bytes: Annotated[
        int, Field(ge=1024, le=1 << 32, description="Longest video, bytes; a longer one is a row that says so.")
    ] = 512 * 1024 * 1024
    ray_workers: Annotated[int, Field(ge=1, le=10_000, description="Workers, each with one processor.")] = 2

    @property
    def format(self) -> Format:
        """As the output's name ends."""
        return self.output.suffix.lower()[1:]  # type: ignore[return-value]

    def capacity(self, cuda: bool) -> Capacity:
        """Return how much one process takes on.

        Args:
            cuda: whether the model runs on a CUDA device, which more threads keep fed.
        """
        runs = self.batches_in_flight or (2 if cuda else self.threads)
        return Capacity(self.threads, runs, self.max_batch, 0.0, 2 * self.threads, _PATIENCE_S)

    @field_validator("output")
    @classmethod
    def _has_a_format(cls, value: Path) -> Path:
        if value.suffix.lower() not in (".jsonl", ".csv", ".parquet"):
            raise ValueError("does not end with .jsonl, .csv or .parquet")
        return value

    @field_validator("overwrite")
    @classmethod
    def _does_not_resume(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("resume"):
            raise ValueError("does not go with --resume")
        return value

    @field_validator("ray_address")
    @classmethod
    def _is_for_ray(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("engine") != "ray":
            raise ValueError("needs --engine ray")
        return value


def from_command_line(arguments: list[str]) -> tuple[list[Path], ScoreOptions]:
    """Return the files and folders that are named, and the options.

    Paths are taken as they are: pydantic-settings would take a name with a comma for a list.

    Raises:
        ValidationError, SettingsError: as for any settings.
        SystemExit: ``--help``, no path, or an unknown flag.
    """
    parser = argparse.ArgumentParser(prog="service score", description=ScoreOptions.__doc__)
    parser.add_argument(
        "PATHS", nargs="+", type=_path, help="Files, and folders, of which every file below is taken but hidden ones."
    )
    source = CliSettingsSource(ScoreOptions, root_parser=parser)  # type: ignore[var-annotated]
    parsed = vars(parser.parse_args(arguments))
    paths: list[Path] = parsed.pop("PATHS")
    return paths, ScoreOptions(_cli_settings_source=source(parsed_args=parsed))


def _path(name: str) -> Path:
    if not name:
        raise argparse.ArgumentTypeError("is empty")
    return Path(name)
