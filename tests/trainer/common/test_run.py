"""The run folder: any name, and damage told in one line."""

import pytest

from tests.trainer.runs import OPTIONS, said


@pytest.mark.parametrize("command", ["export", "rank", "publish"])
@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", "{}"),
        ("metrics.json", "{}"),
        ("split.csv", "part\ntrain"),
        ("model.keras", "junk"),
        ("history.csv", "\xff\xfe"),
    ],
)
def test_a_damaged_run_is_one_clear_line_for_every_command(
    trainer, finished, copied, tmp_path, capsys, command, file, content
):
    run = copied(finished)
    (run / file).write_bytes(content.encode("latin-1"))
    options = ("--models", tmp_path / "models") if command == "publish" else ()
    if trainer(command, run, *options):
        assert "error: " in said(capsys)
    else:
        # These do not need them.
        assert (command, file) in [("export", "history.csv"), ("rank", "metrics.json"), ("rank", "model.keras")]


def test_a_run_may_be_named_as_anything(trainer, data, tmp_path):
    run = tmp_path / "rx$\\frac$ [b] _"
    assert trainer("fit", data, *OPTIONS, "--epochs", "1", "--out", run) == 0
    assert (run / "roc.png").exists()
