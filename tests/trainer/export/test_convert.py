"""Conversion: what the graph holds."""

import numpy as np

from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from trainer.export.export import with_metadata


def test_large_weights_are_initializers_of_the_graph_not_inputs(exported):
    _, graph, _ = exported("flatten-cnn-300")
    assert [item.name for item in graph.graph.input] == ["image"]
    assert any(np.prod(item.dims) == 75 * 75 * 64 * 128 for item in graph.graph.initializer)


def test_rescaling_is_in_the_graph(exported):
    """Raw uint8 goes in: the answer to black and to white differs, whatever the weights."""
    _, graph, spec = exported("dilated-cnn-128")
    engine = Engine.from_bytes(with_metadata(graph, spec), EngineOptions("cpu"))
    black, white = (engine.logits(np.full((1, 128, 128, 3), value, np.uint8)) for value in (0, 255))
    assert not np.allclose(black, white)
