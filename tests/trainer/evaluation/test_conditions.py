"""What happens to a picture on its way to the service."""

import pytest
from PIL import Image

from trainer.evaluation.conditions import CONDITIONS, Condition, degrade


def test_tiers_shrink_and_compress_as_they_say(astronaut):
    by_name = {condition.name: condition for condition in CONDITIONS if condition.kind == "tier"}
    assert list(by_name) == ["clean", "web", "hard"]
    large = astronaut.resize((1000, 800))
    assert degrade(large, by_name["clean"]) is large
    assert degrade(large, by_name["web"]).size == (768, 614)
    assert degrade(large, by_name["hard"]).size == (512, 410)
    assert degrade(astronaut.crop((0, 0, 100, 100)), by_name["hard"]).size == (100, 100)


def test_the_grid_is_jpeg_by_scale(astronaut):
    grid = [condition for condition in CONDITIONS if condition.kind == "grid"]
    assert {(c.quality, c.scale) for c in grid} == {(q, s) for q in (50, 70, 90) for s in (0.5, 1.0, 2.0)}


@pytest.mark.parametrize("how", [{"scale": 0.5}, {"blur": 1.0}, {"noise": 5.0}, {"quality": 30}])
def test_each_step_does_something_the_same_each_time(astronaut, how):
    once, again = (degrade(astronaut, Condition("tier", "x", **how), seed=3) for _ in range(2))
    assert once.tobytes() == again.tobytes()
    assert once.tobytes() != astronaut.tobytes()


def test_tiny_picture_is_not_scaled_below_the_services_minimum(astronaut):
    assert min(degrade(astronaut.crop((0, 0, 40, 60)), Condition("scale", "x", scale=0.25)).size) == 32


@pytest.mark.parametrize("size", [(6500, 6000), (33_000, 100)])
def test_large_picture_is_scaled_within_jpeg_and_memory_limits(size):
    grown = degrade(Image.new("RGB", size), Condition("grid", "x", scale=2.0, quality=50))
    assert size[0] <= grown.width <= 65_000
    assert grown.width * grown.height <= 51_000_000
