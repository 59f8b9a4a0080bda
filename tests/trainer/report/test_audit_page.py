"""The page of an audit holds its results."""

import json
import os

from trainer.audit.audit import audit
from trainer.data.dataset import scan
from trainer.data.groups import grouped
from trainer.report.audit_page import write_audit


def test_the_written_audit_holds_everything(telling, tmp_path):
    dataset = grouped(scan([telling]))
    write_audit(audit(dataset), dataset, tmp_path / "audit.json", tmp_path / "audit.html")
    written = json.loads((tmp_path / "audit.json").read_text())
    assert written["verdict"] == "separable"
    assert written["strata"]["telling/fake"]["jpeg_quality"]["median"] == 40
    assert written["left_out"]["counts"] == {"exact duplicate": 1, "unreadable": 1}
    assert sum(written["near_duplicates"]["kinds"].values()) == written["near_duplicates"]["pairs"] >= 1
    page = (tmp_path / "audit.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2 * 12 + 2 * min(12, written["near_duplicates"]["pairs"])
    assert "http" not in page.replace("http://www.w3.org", "")


def test_a_file_name_that_is_not_utf8_is_reported_like_any_other(write_faces, tmp_path):
    root = write_faces(tmp_path / "d", 4, 4)
    (root / "real" / os.fsdecode(b"\xff\xfebad.jpg")).write_bytes(b"junk")
    (root / "real" / "000.jpg").rename(root / "real" / os.fsdecode(b"\xffgood.jpg"))
    dataset = grouped(scan([root]))
    write_audit(audit(dataset), dataset, tmp_path / "audit.json", tmp_path / "audit.html")
    assert json.loads((tmp_path / "audit.json").read_text())["left_out"]["counts"] == {"unreadable": 1}
    assert "bad.jpg" in (tmp_path / "audit.html").read_text("utf-8")
