"""Parity: an export that answers otherwise than Keras is refused."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from trainer.common.errors import TrainerError
from trainer.export.export import write_verified
from trainer.export.parity import same_verdicts
from trainer.networks.networks import build_network, logits_model
from trainer.recipes.recipe import RECIPES


def test_an_unfaithful_export_is_refused_and_nothing_is_written(exported, pictures, tmp_path):
    _, graph, spec = exported("residual-cnn")
    keras.utils.set_random_seed(1)
    different = logits_model(build_network(RECIPES["residual-cnn"]))
    with pytest.raises(TrainerError, match="parity check failed: a logit differs by"):
        write_verified(tmp_path / "model.onnx", graph, spec, different, pictures)
    assert list(tmp_path.iterdir()) == []


def test_parity_without_a_picture_is_refused(exported, tmp_path):
    network, graph, spec = exported("residual-cnn")
    with pytest.raises(TrainerError, match="needs at least one picture"):
        write_verified(tmp_path / "model.onnx", graph, spec, network, [])


def test_parity_refuses_a_changed_verdict_with_close_logits(make_spec):
    engine = SimpleNamespace(spec=make_spec(threshold_real=0.5, threshold_fake=0.5, temperature=1.0))
    with pytest.raises(TrainerError, match=r"Keras says fake .* the engine real"):
        same_verdicts(np.array([[0.0, 1e-6]]), np.array([[1e-6, 0.0]]), engine, 1)
