"""Tables: rows to a JSON lines, CSV or Parquet file that is written completely or not at all."""

import csv
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from service.errors import ScoreError
from service.offline.rows import Row
from service.offline.score_options import Format

# Columns of CSV and Parquet; a JSON line has the same fields as the response of POST /predict.
COLUMNS: Final = {
    "path": str, "verdict": str, "confidence": float, "p_real": float, "p_fake": float, "threshold_real": float,
    "threshold_fake": float, "faces": int, "reasons": str, "format": str, "width": int, "height": int, "sha256": str,
    "model": str, "model_version": str, "model_sha256": str, "error_code": str, "error_detail": str,
}  # fmt: skip
_BATCH_ROWS = 10_000


def write_table(rows: Iterable[Row], output: Path, table_format: Format) -> None:
    """Write rows to a temporary file beside the output, then rename it.

    Raises:
        ScoreError: the file cannot be written.
    """
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        _WRITERS[table_format](rows, temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(output)
    except OSError as error:
        raise ScoreError(f"cannot write '{output}': {error.strerror or error}; use --resume to try again") from None
    finally:
        temporary.unlink(missing_ok=True)


def check_format(table_format: Format) -> None:
    """Check, before any file is scored, that the library for a format is installed.

    Raises:
        ScoreError: the library is missing.
    """
    if table_format == "parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise ScoreError("Parquet needs the extra 'bulk' (pip install face-authenticity[bulk])") from None


def flat(row: Row) -> dict[str, Any]:
    """Return a row as table columns; a missing value is None."""
    image, model, error = row.get("image") or row.get("video", {}), row.get("model", {}), row.get("error", {})
    faces = row.get("tracks", row.get("faces"))
    probabilities, thresholds = row.get("probabilities") or {}, row.get("thresholds", {})
    return {
        "path": row["path"],
        "verdict": row.get("verdict"),
        "confidence": row.get("confidence"),
        "p_real": probabilities.get("real"),
        "p_fake": probabilities.get("fake"),
        "threshold_real": thresholds.get("real"),
        "threshold_fake": thresholds.get("fake"),
        "faces": None if faces is None else len(faces),
        "reasons": " ".join(row["reasons"]) if "reasons" in row else None,
        "format": image.get("format"),
        "width": image.get("width"),
        "height": image.get("height"),
        "sha256": image.get("sha256"),
        "model": model.get("name"),
        "model_version": model.get("version"),
        "model_sha256": model.get("sha256"),
        "error_code": error.get("code"),
        "error_detail": error.get("detail"),
    }


def _write_jsonl(rows: Iterable[Row], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(_with_utf8_path(row), separators=(",", ":"), allow_nan=False) + "\n" for row in rows)


def _write_csv(rows: Iterable[Row], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(_without_formula(flat(_with_utf8_path(row))) for row in rows)


def _write_parquet(rows: Iterable[Row], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {str: pa.string(), float: pa.float64(), int: pa.int32()}
    schema = pa.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    with pq.ParquetWriter(path, schema) as writer:
        for batch in _batches(rows):
            writer.write_table(pa.Table.from_pylist([flat(_with_utf8_path(row)) for row in batch], schema))


def _without_formula(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with ``./`` before a path that a spreadsheet would read as a formula."""
    return row | {"path": f"./{row['path']}"} if row["path"].startswith(("=", "+", "-", "@")) else row


def _with_utf8_path(row: Row) -> Row:
    """Return the row with non-UTF-8 bytes of its path escaped, because readers of tables expect UTF-8."""
    return row | {"path": row["path"].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")}


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    remaining = iter(rows)
    while batch := list(itertools.islice(remaining, _BATCH_ROWS)):
        yield batch


_WRITERS: Final = {"jsonl": _write_jsonl, "csv": _write_csv, "parquet": _write_parquet}
