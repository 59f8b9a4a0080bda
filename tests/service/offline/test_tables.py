"""CSV and Parquet: the same rows, whole or not at all."""

import csv

import pytest

from service.errors import ScoreError
from service.offline.tables import COLUMNS, write_table
from tests.conftest import REPOSITORY
from tests.service.offline.scoring import rows_of, run


def test_csv_and_parquet_hold_the_same(archive, model, tmp_path):
    import pyarrow.parquet as pq

    names = [tmp_path / f"out.{kind}" for kind in ("jsonl", "csv", "parquet")]
    for name in names:
        run(archive, "--output", name, "--model", model, "--faces", "report")
    rows = rows_of(names[0])
    with names[1].open(newline="") as file:
        table = list(csv.DictReader(file))
    parquet = pq.read_table(names[2]).to_pylist()
    assert list(table[0]) == list(parquet[0]) == list(COLUMNS)
    assert [row["path"] for row in table] == [row["path"] for row in parquet] == list(rows)
    for flat, typed in zip(table, parquet, strict=True):
        row = rows[flat["path"]]
        if "error" in row:
            assert flat["error_code"] == typed["error_code"] == row["error"]["code"]
            assert (flat["verdict"], typed["verdict"], typed["p_fake"]) == ("", None, None)
        else:
            assert float(flat["p_fake"]) == typed["p_fake"] == row["probabilities"]["fake"]
            assert flat["verdict"] == typed["verdict"] == row["verdict"]
            assert flat["reasons"] == typed["reasons"] == " ".join(row["reasons"])
            assert int(flat["faces"]) == typed["faces"] == len(row["faces"])
            assert typed["model_sha256"] == row["model"]["sha256"]


def test_a_table_is_written_whole_or_not_at_all(tmp_path):
    def rows():
        yield {"path": "a"}
        raise OSError(28, "No space left on device")

    output = tmp_path / "out.csv"
    output.write_text("before")
    with pytest.raises(ScoreError, match="No space left on device; use --resume to try again"):
        write_table(rows(), output, "csv")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


DOCS = REPOSITORY / "docs"


SCORING = (DOCS / "scoring.md").read_text("utf-8")


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_of_a_table_is_documented(column):
    assert f"`{column}`" in SCORING
