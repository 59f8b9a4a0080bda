"""Options of ``service score``; options shared with the server have the same ``SERVICE_…`` variables."""

import argparse
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import CliImplicitFlag, CliSettingsSource

from service.limits import Capacity
from service.model_settings import ModelSettings
from service.resources import cpu_count

Format = Literal["jsonl", "csv", "parquet"]
# Offline, a picture may wait for as long as it takes.
_DEADLINE_S = 1e6


def _default_threads(data: dict[str, Any]) -> int:
    return 1 if data.get("engine") == "ray" else cpu_count()


class ScoreOptions(ModelSettings):
    """Score pictures and videos into one file of verdicts, one row per file; unreadable files get an error row."""

    output: Annotated[
        Path,
        Field(
            description="File to write: .jsonl, .csv or .parquet; until it is complete, its rows are in NAME.journal."
        ),
    ]
    resume: Annotated[
        CliImplicitFlag[bool], Field(description="Continue an interrupted run; no file is scored twice.")
    ] = False
    overwrite: Annotated[
        CliImplicitFlag[bool],
        Field(description="Replace an existing output and the journal of an unfinished run."),
    ] = False
    engine: Annotated[
        Literal["local", "ray"],
        Field(description="local: this process; ray: workers of a Ray cluster (needs the extra 'bulk')."),
    ] = "local"
    threads: Annotated[
        int,
        Field(ge=1, le=1024, description="Pictures processed at once; with 'ray', per worker."),
    ] = Field(default_factory=_default_threads)
    ray_address: Annotated[
        str | None,
        Field(
            description="Address of the cluster that this node belongs to: HOST:PORT of its head, or auto; default: a "
            "local cluster is started for the run."
        ),
    ] = None
    max_video_bytes: Annotated[
        int, Field(ge=1024, le=1 << 32, description="Maximum video size, bytes; a larger video gets an error row.")
    ] = 512 * 1024 * 1024
    ray_workers: Annotated[int, Field(ge=1, le=10_000, description="Number of workers, one processor each.")] = 2

    @property
    def format(self) -> Format:
        """Format of the output, by its suffix."""
        return self.output.suffix.lower()[1:]  # type: ignore[return-value]

    def capacity(self, cuda: bool) -> Capacity:
        """Return the concurrency limits of one process.

        Args:
            cuda: whether the model runs on a CUDA device, which gets 2 model runs at once by default.
        """
        runs = self.batches_in_flight or (2 if cuda else self.threads)
        return Capacity(self.threads, runs, self.max_batch, 0.0, 2 * self.threads, _DEADLINE_S)

    @field_validator("output")
    @classmethod
    def _check_output(cls, value: Path) -> Path:
        if value.suffix.lower() not in (".jsonl", ".csv", ".parquet"):
            raise ValueError("does not end with .jsonl, .csv or .parquet")
        return value

    @field_validator("overwrite")
    @classmethod
    def _check_overwrite(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("resume"):
            raise ValueError("cannot be combined with --resume")
        return value

    @field_validator("ray_address")
    @classmethod
    def _check_ray_address(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("engine") != "ray":
            raise ValueError("needs --engine ray")
        return value


def from_command_line(arguments: list[str]) -> tuple[list[Path], ScoreOptions]:
    """Parse the command line into files and folders, and options.

    Paths do not go through pydantic-settings, which would read a name with a comma as a list.

    Raises:
        ValidationError, SettingsError: an option is invalid.
        SystemExit: ``--help``, no path, or an unknown flag.
    """
    parser = argparse.ArgumentParser(prog="service score", description=ScoreOptions.__doc__)
    parser.add_argument(
        "PATHS",
        nargs="+",
        type=_path,
        help="Files and folders; folders are searched recursively, without hidden files and folders.",
    )
    source = CliSettingsSource(ScoreOptions, root_parser=parser)  # type: ignore[var-annotated]
    parsed = vars(parser.parse_args(arguments))
    paths: list[Path] = parsed.pop("PATHS")
    return paths, ScoreOptions(_cli_settings_source=source(parsed_args=parsed))


def _path(name: str) -> Path:
    if not name:
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(name)
