"""Command: ``service score PATH... --output FILE``."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

from service import __version__
from service.contract.faces.finder import face_finder
from service.contract.faces.yunet import FinderError
from service.inference import model_file
from service.inference.engine import Engine, load_engine
from service.inference.model_file import ModelFileError
from service.inference.session import ProviderError
from service.model_settings import ProvenanceError
from service.offline.journal import FAILURES, Journal
from service.offline.listing import files_of
from service.offline.rows import Row, score_files
from service.offline.score_error import ScoreError
from service.offline.score_options import ScoreOptions
from service.offline.score_progress import Tally
from service.offline.tables import check_format, write_table

JOURNAL = ".journal"
_MOST_IN_A_ROW = 20


def score(paths: list[Path], options: ScoreOptions) -> int:
    """Score every file into the output, or go on with that.

    Returns:
        how many files have no verdict because model or service failed, and not the file.

    Raises:
        ScoreError: it cannot begin, or cannot go on.
        KeyboardInterrupt: Ctrl-C; ``--resume`` goes on.
    """
    output = options.output
    journal_path = output.with_name(output.name + JOURNAL)
    check_format(options.format)
    _check_output(output, journal_path, options)
    names = files_of(paths, (output, journal_path))
    if not names:
        raise ScoreError("there is no file below " + ", ".join(f"'{path}'" for path in paths))
    content, engine = _load(options)
    journal = Journal(journal_path, _head(engine, options), options.resume)
    try:
        left = [name for name in names if name not in journal.done]
        tally = Tally(len(names) - len(left), len(names))
        for row in journal.rows(()):
            tally.count(row)
        with tally:
            _score_left(left, engine, content, options, journal, tally)
        write_table(journal.rows(names), output, options.format)
        journal.remove()
    finally:
        if not journal.done:  # nothing is lost with it
            journal.remove()
        journal.close()
    tally.say(f"{len(names)} files: {tally.total()}; {tally.scored} in this run, {tally.rate:.0f} a second -> {output}")
    return sum(tally.errors[code] for code in FAILURES)


def _check_output(output: Path, journal: Path, options: ScoreOptions) -> None:
    try:
        output.exists(), journal.exists()
    except OSError as error:
        raise ScoreError(f"cannot write '{output}': {error.strerror}") from None
    if not output.parent.is_dir():
        raise ScoreError(f"there is no folder '{output.parent}' to write '{output.name}' into")
    if options.overwrite:
        return
    if output.exists() and not (options.resume and journal.exists()):
        raise ScoreError(f"'{output}' exists; --overwrite replaces it")
    if journal.exists() and not options.resume:
        raise ScoreError(f"a run that was cut off left '{journal}'; --resume goes on with it, --overwrite begins anew")


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
    """Return what rows of one output have to have been made with."""
    return {
        "journal": 1,
        "service": __version__,
        "model": engine.sha256,
        "limits": asdict(options.limits),
        "faces": asdict(options.face_policy),
        "provenance": [options.provenance, options.read_anchors()],
        "videos": asdict(options.video_limits(options.max_video_bytes)),
    }


def _score_left(
    names: list[str], engine: Engine, content: bytes, options: ScoreOptions, journal: Journal, tally: Tally
) -> None:
    if not names:
        return
    in_a_row = 0

    def take(row: Row) -> None:
        nonlocal in_a_row
        if row["path"] not in journal.done:
            journal.add(row)
            tally.add(row)
            failed = row.get("error", {}).get("code") in FAILURES
            in_a_row = in_a_row + 1 if failed else 0
            if in_a_row == _MOST_IN_A_ROW:
                raise ScoreError(
                    f"{in_a_row} files in a row failed for no fault of theirs ({row['error']['detail']}); "
                    "--resume tries them again"
                )

    if options.engine == "ray":
        from service.offline.cluster import rows_of

        for row in rows_of(names, content, options):
            take(row)
    else:
        asyncio.run(score_files(names, engine, options, take))
