"""Admission: permits that are refused when all are held, and results that are recorded or not."""

import asyncio

import pytest

from service.errors import RequestError
from service.inference.scorer import Scorer
from service.lifecycle.admission import Admission, Permits
from service.observability.metrics import Metrics
from service.settings import Settings


@pytest.fixture
def scorer(tiny_engine):
    settings = Settings(faces="off", decode_threads=2)
    made = Scorer(tiny_engine, settings.limits, settings.face_policy, settings.capacity(False), lambda _: None)
    yield made
    made.close()


def verdicts(metrics: Metrics) -> float:
    lines = metrics.render().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("service_verdicts_total{"))


def test_permits_all_held_are_refused_by_setting_and_freed():
    """The refusal names how many are held, the setting, and when to retry."""
    gauge = Metrics().streams
    permits = Permits(1, "videos are being read", "SERVICE_MAX_VIDEOS", 2, gauge)
    with permits.take():
        assert (permits.held, gauge.collect()[0].samples[0].value) == (1, 1)
        with pytest.raises(RequestError) as refused:
            permits.check()
        assert refused.value.detail == "1 videos are being read, which is the limit (SERVICE_MAX_VIDEOS)"
        assert refused.value.headers == {"Retry-After": "2"}
    permits.check()
    assert (permits.held, gauge.collect()[0].samples[0].value) == (0, 0)


def test_admit_counts_until_the_request_ends_even_by_an_error(scorer):
    """A request that fails gives its permit back."""
    admission = Admission(1, Metrics())

    def request() -> None:
        with admission.admit(scorer):
            assert (admission.in_flight, scorer.users) == (1, 1)
            with pytest.raises(RequestError, match="1 requests reach the limit of 1"), admission.admit(scorer):
                pass
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        request()
    assert (admission.in_flight, scorer.users) == (0, 0)


@pytest.mark.parametrize(("all_or_none", "counted"), [(False, 2), (True, 0)])
def test_score_all_records_refused_request_only_in_part(scorer, astronaut, encode, all_or_none, counted):
    """Where one refused picture refuses the whole request, no verdict of it counts."""
    metrics = Metrics()
    payloads = [encode(astronaut), b"no picture", encode(astronaut)]

    async def scene() -> list[object]:
        with Admission(None, metrics).admit(scorer) as admitted:
            return await admitted.score_all(payloads, all_or_none=all_or_none)

    results = asyncio.run(scene())
    assert [isinstance(result, Exception) for result in results] == [False, True, False]
    assert verdicts(metrics) == counted


def test_score_camera_frame_is_traced_but_not_counted(scorer, astronaut, encode):
    """Frames of a camera would drown the pictures that verdicts are counted of."""
    metrics = Metrics()

    async def scene() -> None:
        with Admission(None, metrics).admit(scorer) as admitted:
            await admitted.score(admitted.submit(encode(astronaut)), count_verdict=False)

    asyncio.run(scene())
    assert verdicts(metrics) == 0
    assert 'service_stage_seconds_count{stage="decode"} 1.0' in metrics.render().decode()


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        ("/v2/models/other/infer", {}, "unknown_model"),
        ("/v2/models/tiny/infer", {"content-encoding": "gzip"}, "unsupported_media_type"),
        ("/explain?format=gif", {}, "invalid_parameter"),
        ("/explain", {}, "overloaded"),
    ],
)
def test_request_that_can_never_succeed_is_not_told_to_retry(make_client, path, headers, code):
    """What is wrong with a request is said before it waits for its turn."""
    client = make_client(max_in_flight=1)
    with client.app.state.service.admit():
        response = client.post(path, content=b"{}", headers=headers)
    assert response.json()["code"] == code
