"""The command ``service score PATH... --output FILE``."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

from service import __version__
from service.contract.faces.finder import face_finder
from service.contract.faces.yunet import FinderError
from service.errors import ScoreError
from service.inference import model_file
from service.inference.engine import Engine, load_engine
from service.inference.model_file import ModelFileError
from service.inference.session import ProviderError
from service.model_settings import ProvenanceError
from service.offline.journal import FAILURES, Journal
from service.offline.listing import files_of
from service.offline.rows import Row, score_files
from service.offline.score_options import ScoreOptions
from service.offline.score_progress import Tally
from service.offline.tables import check_format, write_table

JOURNAL = ".journal"
_MAX_CONSECUTIVE_FAILURES = 20


def score(paths: list[Path], options: ScoreOptions) -> int:
    """Score every file into the output, or continue an interrupted run.

    Returns:
        Number of files that have no verdict because the model or the service failed.

    Raises:
        ScoreError: the run cannot start or continue.
        KeyboardInterrupt: Ctrl-C; ``--resume`` continues the run.
    """
    output = options.output
    journal_path = output.with_name(output.name + JOURNAL)
    check_format(options.format)
    _check_output(output, journal_path, options)
    names = files_of(paths, (output, journal_path))
    if not names:
        raise ScoreError("there are no input files in " + ", ".join(f"'{path}'" for path in paths))
    content, engine = _load(options)
    journal = Journal(journal_path, _head(engine, options), options.resume)
    try:
        pending = [name for name in names if name not in journal.done]
        tally = Tally(len(names) - len(pending), len(names))
        for row in journal.rows(()):
            tally.count(row)
        with tally:
            _score_pending(pending, engine, content, options, journal, tally)
        write_table(journal.rows(names), output, options.format)
        journal.remove()
    finally:
        if not journal.done:  # it has no rows to lose
            journal.remove()
        journal.close()
    tally.say(
        f"{len(names)} files: {tally.summary()}; {tally.scored} in this run, {tally.rate:.0f} files/s -> {output}"
    )
    return sum(tally.errors[code] for code in FAILURES)


def _check_output(output: Path, journal: Path, options: ScoreOptions) -> None:
    try:
        output.exists(), journal.exists()
    except OSError as error:
        raise ScoreError(f"cannot write '{output}': {error.strerror}") from None
    if not output.parent.is_dir():
        raise ScoreError(f"the folder '{output.parent}' for the output '{output.name}' does not exist")
    if options.overwrite:
        return
    if output.exists() and not (options.resume and journal.exists()):
        raise ScoreError(f"'{output}' exists; use --overwrite to replace it")
    if journal.exists() and not options.resume:
        raise ScoreError(
            f"an interrupted run left '{journal}'; use --resume to continue it or --overwrite to start over"
        )


def _load(options: ScoreOptions) -> tuple[bytes, Engine]:
    try:
        content = model_file.read(options.model)
        engine = load_engine(options, content)
        if options.faces != "off":
            face_finder()
        options.read_anchors()
    except (ModelFileError, ProviderError, FinderError, ProvenanceError) as error:
        raise ScoreError(str(error)) from None
    return content, engine


def _head(engine: Engine, options: ScoreOptions) -> dict[str, Any]:
    """Return the versions and settings that must be the same for all rows of an output."""
    return {
        "journal": 1,
        "service": __version__,
        "model": engine.sha256,
        "limits": asdict(options.limits),
        "faces": asdict(options.face_policy),
        "provenance": [options.provenance, options.read_anchors()],
        "videos": asdict(options.video_limits(options.max_video_bytes)),
    }


def _score_pending(
    names: list[str], engine: Engine, content: bytes, options: ScoreOptions, journal: Journal, tally: Tally
) -> None:
    if not names:
        return
    consecutive_failures = 0

    def add_row(row: Row) -> None:
        nonlocal consecutive_failures
        if row["path"] not in journal.done:
            journal.add(row)
            tally.add(row)
            failed = row.get("error", {}).get("code") in FAILURES
            consecutive_failures = consecutive_failures + 1 if failed else 0
            if consecutive_failures == _MAX_CONSECUTIVE_FAILURES:
                raise ScoreError(
                    f"the model or the service failed on {consecutive_failures} files in a row "
                    f"({row['error']['detail']}); use --resume to try them again"
                )

    if options.engine == "ray":
        from service.offline.cluster import rows_of

        for row in rows_of(names, content, options):
            add_row(row)
    else:
        asyncio.run(score_files(names, engine, options, add_row))
