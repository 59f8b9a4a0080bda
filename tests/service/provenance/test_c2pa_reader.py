"""The C2PA reader: what it reports of a manifest."""

from service.provenance.c2pa_reader import summary

AI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def test_an_ingredient_that_was_generated_is_declared_too():
    action = {"action": "c2pa.created", "digitalSourceType": AI}
    inner = {"assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}]}
    store = {"active_manifest": "b", "manifests": {"a": inner, "b": {}}, "validation_state": "Valid"}
    assert summary(store)["declares_ai"] is True
    assert summary(store | {"manifests": {"b": {}}})["declares_ai"] is False
