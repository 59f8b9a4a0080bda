"""Rows: a verdict, or the reason why a file has none."""

import asyncio
import csv
import json
import os
from pathlib import Path

from service.offline.listing import files_of
from service.offline.rows import score_files
from service.offline.score_options import ScoreOptions
from service.offline.tables import write_table


def test_what_is_no_regular_file_or_cannot_be_read_is_a_row(archive, model, tiny_engine, tmp_path):
    os.mkfifo(archive / "pipe.jpg")
    (archive / "gone.jpg").symlink_to(archive / "nowhere")
    os.link(archive / "0.jpg", os.fsencode(archive) + b"/\xff\n.jpg")
    (archive / "long.jpg").write_bytes(b"\xff\xd8\xff" + bytes(2000))
    options = ScoreOptions(output=tmp_path / "o.csv", model=model, max_bytes=1500, faces="off")
    rows: dict[str, dict] = {}
    names = files_of([archive], ())
    asyncio.run(score_files(names, tiny_engine, options, lambda row: rows.__setitem__(row["path"], row)))
    errors = {Path(path).name: row["error"] for path, row in rows.items() if "error" in row}
    assert errors["pipe.jpg"] == {"code": "unreadable", "detail": "not a regular file"}
    assert errors["gone.jpg"] == {"code": "unreadable", "detail": "No such file or directory"}
    assert errors["long.jpg"]["code"] == "payload_too_large"
    odd = next(path for path in rows if "\n" in path)
    for kind in ("jsonl", "csv", "parquet"):
        write_table([rows[odd]], tmp_path / f"t.{kind}", kind)
    spelt = str(archive) + "/\\xff\n.jpg"
    assert json.loads((tmp_path / "t.jsonl").read_text())["path"] == spelt
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        assert next(csv.DictReader(file))["path"] == spelt
