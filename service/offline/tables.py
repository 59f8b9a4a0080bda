"""Tables: rows to a file of JSON lines, CSV or Parquet, whole or not at all."""

import csv
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from service.offline.rows import Row
from service.offline.score_error import ScoreError
from service.offline.score_options import Format

# Of CSV and Parquet; a JSON line is as POST /predict answers.
COLUMNS: Final = {
    "path": str, "verdict": str, "confidence": float, "p_real": float, "p_fake": float, "threshold_real": float,
    "threshold_fake": float, "faces": int, "reasons": str, "format": str, "width": int, "height": int, "sha256": str,
    "model": str, "model_version": str, "model_sha256": str, "error_code": str, "error_detail": str,
}  # fmt: skip
_AT_ONCE = 10_000


def write_table(rows: Iterable[Row], output: Path, table_format: Format) -> None:
    """Write rows to a temporary file beside the output, and rename it.

    Raises:
        ScoreError: it cannot be written.
    """
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        _WRITERS[table_format](rows, temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(output)
    except OSError as error:
        raise ScoreError(f"cannot write '{output}': {error.strerror or error}; --resume tries again") from None
    finally:
        temporary.unlink(missing_ok=True)


def check_format(table_format: Format) -> None:
    """Refuse a format whose library is missing, before anything is scored.

    Raises:
        ScoreError: it is.
    """
    if table_format == "parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise ScoreError("Parquet needs the extra 'bulk' (pip install face-authenticity[bulk])") from None


def flat(row: Row) -> dict[str, Any]:
    """Return a row as the columns of a table, None where there is nothing."""
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


def _jsonl(rows: Iterable[Row], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(_in_unicode(row), separators=(",", ":"), allow_nan=False) + "\n" for row in rows)


def _csv(rows: Iterable[Row], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(_as_text(flat(_in_unicode(row))) for row in rows)


def _parquet(rows: Iterable[Row], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {str: pa.string(), float: pa.float64(), int: pa.int32()}
    schema = pa.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    with pq.ParquetWriter(path, schema) as writer:
        for some in _batched(rows):
            writer.write_table(pa.Table.from_pylist([flat(_in_unicode(row)) for row in some], schema))


def _as_text(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with a path that a spreadsheet would not take for a formula."""
    return row | {"path": f"./{row['path']}"} if row["path"].startswith(("=", "+", "-", "@")) else row


def _in_unicode(row: Row) -> Row:
    """Return the row with the bytes of a path that is not UTF-8 spelt out, for who reads a table expects that."""
    return row | {"path": row["path"].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")}


def _batched(rows: Iterable[Row]) -> Iterator[list[Row]]:
    rest = iter(rows)
    while some := list(itertools.islice(rest, _AT_ONCE)):
        yield some


_WRITERS: Final = {"jsonl": _jsonl, "csv": _csv, "parquet": _parquet}
