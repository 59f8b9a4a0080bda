"""Settings of the model: the default that the package carries."""

from service.model_settings import default_model


def test_the_default_model_is_there():
    assert default_model().is_file()
