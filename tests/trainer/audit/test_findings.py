"""Findings of an audit, in sentences."""

from trainer.audit.audit import audit
from trainer.data.dataset import scan
from trainer.data.groups import grouped


def test_the_audit_says_in_words_what_gives_a_class_away(telling):
    result = audit(grouped(scan([telling])))
    assert result.verdict == "separable"
    assert result.pooled.score > 0.95
    words = " ".join(result.findings)
    assert "can be told apart without looking at a face" in words
    assert "(0.5 is chance; above 0.60 a network may learn the collection" in words
    assert "JPEG quality separates the classes" in words
    assert "reals are mostly quality 92 4:2:0" in words
    assert f"{len(result.near)} pairs of near duplicates; a stratified split keeps each on one side" in words
    assert {"000.jpg", "copy.jpg"} in [{first.path.name, second.path.name} for first, second in result.near]
    assert "1 file left out: exact duplicate" in words
    assert "1 file left out: unreadable" in words
