"""The graph of a model, held against its metadata."""

import pytest

from service.inference.engine import Engine
from service.inference.model_file import ModelFileError


def test_metadata_that_contradicts_the_graph_names_the_key(make_model, make_spec):
    with pytest.raises(ModelFileError, match="'input_height': says 64, but the graph's 'image' has 48 on axis 1"):
        Engine.from_bytes(make_model(make_spec(input_height=64)))


def test_another_output_name_is_refused(make_model):
    with pytest.raises(ModelFileError, match="no tensor 'logits', only probabilities"):
        Engine.from_bytes(make_model(output="probabilities"))


def test_a_fixed_batch_is_refused(make_model):
    with pytest.raises(ModelFileError, match="expected rank 4 with a free batch axis"):
        Engine.from_bytes(make_model(batch=1))
