"""Assessment of model files: comparisons, and pictures that a run has seen."""

import json

import pytest
from PIL import Image

from trainer.common.errors import TrainerError
from trainer.data.dataset import scan
from trainer.evaluation.assess import exclude_seen


def test_a_comparison_needs_two_models_and_data(trainer, model, shades, capsys):
    assert trainer("compare", model, shades) == 1
    assert "1 model files and 1 data folders" in capsys.readouterr().err
    assert trainer("compare", model, model, shades) == 1
    assert "is given twice" in capsys.readouterr().err.replace("\n", " ")


def test_a_model_with_other_classes_is_refused(trainer, make_model, make_spec, shades, tmp_path, capsys):
    path = tmp_path / "cats.onnx"
    path.write_bytes(make_model(make_spec(class_names=("cat", "dog"), fake_class="dog")))
    assert trainer("evaluate", path, shades) == 1
    assert "has the classes cat, dog (fake: dog), the data has real, fake" in capsys.readouterr().err.replace("\n", " ")


def test_pictures_that_a_run_has_seen_are_left_out(trainer, model, shades, tmp_path, capsys):
    samples = scan([shades]).samples
    lines = ["part,source,label,path,sha256,group,reason"]
    lines += [f"train,shades,{s.label},{s.path},{s.sha256},," for s in samples[:20]]
    lines += [f"validation,shades,{s.label},{s.path},{s.sha256},," for s in samples[20:25]]
    lines += [f"test,shades,{s.label},{s.path},{s.sha256},," for s in samples[25:]]
    (tmp_path / "split.csv").write_text("\n".join(lines) + "\n")
    assert trainer("evaluate", model, shades, "--json", "--robustness", "0", "--unseen-by", tmp_path) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["pooled"]["real"] + result["pooled"]["fake"] == len(samples) - 25
    assert result["robustness"] is None
    assert trainer("evaluate", model, shades, "--unseen-by", tmp_path / "absent") == 1


def test_a_near_duplicate_of_what_a_run_has_seen_is_left_out_too(astronaut, tmp_path):
    mine, seen = tmp_path / "mine" / "real", tmp_path / "seen.jpg"
    mine.mkdir(parents=True)
    face = astronaut.crop((100, 0, 356, 256))
    face.save(seen, quality=92)
    for name in ("small.jpg", "smaller.jpg"):
        face.resize((150, 150), Image.Resampling.BICUBIC).save(mine / name, quality=60 + len(name))
    astronaut.crop((200, 200, 456, 456)).save(mine / "other.jpg")
    (tmp_path / "split.csv").write_text(f"part,source,label,path,sha256,group,reason\ntrain,x,real,{seen},0,,\n")
    kept = exclude_seen(scan([tmp_path / "mine"], one_class=True), [tmp_path])
    assert [sample.path.name for sample in kept.samples] == ["other.jpg"]


def test_an_empty_split_leaves_nothing_out_and_says_so(shades, tmp_path):
    (tmp_path / "split.csv").write_text("part,source,label,path,sha256,group,reason\n")
    with pytest.raises(TrainerError, match="lists no pictures"):
        exclude_seen(scan([shades]), [tmp_path])
