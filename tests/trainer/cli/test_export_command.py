"""``trainer export`` as a person runs it."""

import shutil

from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions


def test_export_writes_the_same_model_again(fitted, trainer, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(fitted, run)
    (run / "model.onnx").unlink()
    assert trainer("export", run) == 0
    before, after = (Engine.load(folder / "model.onnx", EngineOptions("cpu")) for folder in (fitted, run))
    assert before.spec == after.spec


def test_a_damaged_network_is_one_clear_line(fitted, trainer, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(fitted, run)
    (run / "model.keras").write_bytes(b"junk")
    assert trainer("export", run) == 1
    assert "model.keras' cannot be loaded" in capsys.readouterr().err.replace("\n", "")
