"""How often drawings get a sure verdict."""

from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from trainer.augment.drawings import TECHNIQUES
from trainer.data.dataset import scan
from trainer.evaluation.on_drawings import covers_all_techniques, on_drawings


def test_how_sure_a_model_is_of_drawings_is_counted_by_technique(faces, make_model, make_spec):
    samples = scan([faces]).samples[:6]
    bright = Engine.from_bytes(make_model(make_spec(threshold_real=0.5, threshold_fake=0.5)), EngineOptions("cpu", 1))
    result = on_drawings(bright, samples)
    assert result == on_drawings(bright, samples)
    assert result["pictures"] == 6
    assert {name for name, row in result["techniques"].items() if row["trained_on"]} == {t.__name__ for t in TECHNIQUES}
    assert {name for name, row in result["techniques"].items() if not row["trained_on"]} == {"smeared", "stippled"}
    assert all(row["real"] + row["fake"] == 1 for row in result["techniques"].values())
    assert covers_all_techniques(result)
    assert not covers_all_techniques({"techniques": {"painted": {}}})
    assert not covers_all_techniques(None)
    assert result["sure"] == 1
    unsure = Engine.from_bytes(make_model(make_spec(threshold_real=0.0, threshold_fake=1.0)), EngineOptions("cpu", 1))
    assert on_drawings(unsure, samples)["sure"] == 0
