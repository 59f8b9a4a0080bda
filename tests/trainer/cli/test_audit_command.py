"""``trainer audit`` as a person runs it."""


def test_audit_prints_its_findings_and_writes_a_report(trainer, faces, tmp_path, capsys):
    report = tmp_path / "audit"
    assert trainer("audit", faces, "--report", report, "--recipe", "dilated-cnn-128") == 0
    printed = capsys.readouterr().out
    assert "shortcut score" in printed
    assert "after preprocessing: shortcut score" in printed
    assert {path.name for path in report.iterdir()} == {"audit.html", "audit.json"}
    assert trainer("audit", faces, "--report", report) == 1
    assert "exists: name another" in capsys.readouterr().err.replace("\n", " ")
