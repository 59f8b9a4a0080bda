"""Client: asks a service for verdicts, with retries that honour ``Retry-After``. Needs the extra ``client`` (httpx).

    from service.client import Client

    with Client("http://127.0.0.1:8000") as client:
        prediction = client.predict("face.jpg")
        print(prediction.verdict, prediction.confidence)

:class:`AsyncClient` is the same to be awaited. Both are safe to share: between threads, or tasks of one event loop.

ServiceError                what the service refused; has ``code``, ``status``, ``detail``, ``request_id``
└── Unavailable             what may be tried again later, and was, as often as asked for
"""

import asyncio
import email.utils
import random
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

try:
    import httpx
    from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception, stop_after_attempt
    from tenacity.wait import wait_base
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"service.client needs {error.name}: pip install 'face-authenticity[client]'", name=error.name
    ) from None
from pydantic import ValidationError

from service.api.schemas import BatchPrediction, BatchResult, ModelFacts, Prediction, Problem

Picture = bytes | str | Path
_Model = TypeVar("_Model", Prediction, BatchPrediction, ModelFacts)
# The service's own refusals of what may be asked again, and those of a proxy before it. Verdicts change nothing, so
# that whatever may have been lost may be asked again too.
_AGAIN: Final = frozenset((408, 429, 502, 503, 504))
_KEY: Final = re.compile(r"[\x21-\x7e]+")
_FIRST_BACKOFF_S: Final = 0.25
_MAX_BACKOFF_S: Final = 8.0


class ServiceError(Exception):
    """The service refused a request.

    Attributes:
        status: HTTP status; 0 where there was no answer.
        code: as the service documents it; empty where something else answered, or nothing.
        detail: what is wrong, in words.
        request_id: by which the service's log has it; empty likewise.
    """

    def __init__(self, status: int, code: str, detail: str, request_id: str) -> None:
        super().__init__(f"{code or status}: {detail}")
        self.status, self.code, self.detail, self.request_id = status, code, detail, request_id


class Unavailable(ServiceError):
    """The service is overloaded, stopping, or not to be reached; it was tried as often as asked for.

    Attributes:
        retry_after_s: when the service says that it may be asked again, seconds from its answer; None: it does not say.
    """

    retry_after_s: float | None = None


class _RetryAfter(wait_base):
    """Waits as long as the service asks for; otherwise twice as long each time, with jitter."""

    def __call__(self, retry_state: RetryCallState) -> float:
        failure = retry_state.outcome.exception() if retry_state.outcome else None
        if isinstance(failure, Unavailable) and failure.retry_after_s is not None:
            return failure.retry_after_s
        backoff_s: float = _FIRST_BACKOFF_S * 2 ** (retry_state.attempt_number - 1)
        return min(_MAX_BACKOFF_S, backoff_s) * random.uniform(0.5, 1.0)


def _retry_options(retries: int, max_wait_s: float) -> dict[str, Any]:
    """Return the options of :class:`tenacity.Retrying` and of its asynchronous twin."""
    if retries < 0:
        raise ValueError(f"retries is {retries}, not 0 or more")

    def is_temporary(failure: BaseException) -> bool:
        return isinstance(failure, Unavailable) and (failure.retry_after_s or 0.0) <= max_wait_s

    return {
        "stop": stop_after_attempt(retries + 1),
        "wait": _RetryAfter(),
        "retry": retry_if_exception(is_temporary),
        "reraise": True,
    }


class Client:
    """Asks one service.

    Args:
        url: of the service, such as ``http://127.0.0.1:8000``.
        key: API key, where the service asks for one.
        retries: how often to ask again what may be answered later (408, 429, 502, 503, 504, no connection).
        timeout_s: for one answer, seconds.
        max_wait_s: longest ``Retry-After`` that is waited for, seconds; where the service names a longer one, it is
            not asked again.
        transport: of httpx, such as one that goes through a proxy.

    Raises:
        ValueError: ``retries`` is negative, the URL has no scheme, or the key cannot stand in a header.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        retries: int = 3,
        timeout_s: float = 30.0,
        max_wait_s: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._retry = Retrying(**_retry_options(retries, max_wait_s))
        self._http = httpx.Client(base_url=_address(url), headers=_headers(key), timeout=timeout_s, transport=transport)

    def predict(self, picture: Picture) -> Prediction:
        """Return the verdict on one picture: its bytes, or the path of its file.

        Raises:
            ServiceError: the service refused it.
            OSError: the file cannot be read.
        """
        return _parsed(Prediction, self._ask("POST", "/predict", files=_files([picture])))

    def predict_batch(self, pictures: Sequence[Picture]) -> list[BatchResult]:
        """Return, for each picture in order, its ``prediction``, or the ``problem`` for which it has none.

        Raises:
            ServiceError: the service refused all of them together.
            OSError: a file cannot be read.
        """
        return _parsed(BatchPrediction, self._ask("POST", "/predict/batch", files=_files(pictures))).results

    def model(self) -> ModelFacts:
        """Return which model answers, and within which limits.

        Raises:
            ServiceError: none does.
        """
        return _parsed(ModelFacts, self._ask("GET", "/model"))

    def ready(self) -> bool:
        """Return whether the service can answer, without asking twice."""
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        return self._retry.copy()(self._ask_once, method, path, **content)

    def _ask_once(self, method: str, path: str, **content: Any) -> httpx.Response:
        with _as_service_error():
            return _checked(self._http.request(method, path, **content))


class AsyncClient:
    """Asks one service, to be awaited; arguments as of :class:`Client`."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        retries: int = 3,
        timeout_s: float = 30.0,
        max_wait_s: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._retry = AsyncRetrying(**_retry_options(retries, max_wait_s))
        self._http = httpx.AsyncClient(
            base_url=_address(url), headers=_headers(key), timeout=timeout_s, transport=transport
        )

    async def predict(self, picture: Picture) -> Prediction:
        """Return the verdict on one picture; see :meth:`Client.predict`."""
        files = await asyncio.to_thread(_files, [picture])
        return _parsed(Prediction, await self._ask("POST", "/predict", files=files))

    async def predict_batch(self, pictures: Sequence[Picture]) -> list[BatchResult]:
        """Return a result for each picture; see :meth:`Client.predict_batch`."""
        files = await asyncio.to_thread(_files, pictures)
        return _parsed(BatchPrediction, await self._ask("POST", "/predict/batch", files=files)).results

    async def model(self) -> ModelFacts:
        """Return which model answers; see :meth:`Client.model`."""
        return _parsed(ModelFacts, await self._ask("GET", "/model"))

    async def ready(self) -> bool:
        """Return whether the service can answer, without asking twice."""
        try:
            return (await self._http.get("/readyz")).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        return await self._retry.copy()(self._ask_once, method, path, **content)

    async def _ask_once(self, method: str, path: str, **content: Any) -> httpx.Response:
        with _as_service_error():
            return _checked(await self._http.request(method, path, **content))


def _checked(response: httpx.Response) -> httpx.Response:
    """Return a response of success; raise the refusal otherwise."""
    if response.is_success:
        return response
    raise _refusal(response)


@contextmanager
def _as_service_error() -> Iterator[None]:
    """Turn a connection that fails into :class:`Unavailable`."""
    try:
        yield
    except httpx.TransportError as error:
        raise Unavailable(0, "", f"no answer: {error or type(error).__name__}", "") from error


def _headers(key: str | None) -> dict[str, str]:
    if key is None:
        return {}
    if not _KEY.fullmatch(key):  # not shown, and not left to httpx, which would show it
        raise ValueError("the key holds spaces, line ends or what is not ASCII; is it read from a file? then strip it")
    return {"Authorization": f"Bearer {key}"}


def _address(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"the URL {url[:80]!r} does not begin with http:// or https://")
    return url


def _files(pictures: Iterable[Picture]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("file", _named(picture)) for picture in pictures]


def _named(picture: Picture) -> tuple[str, bytes]:
    """Return a picture's name and bytes; the service goes by its content, not by its name."""
    if isinstance(picture, bytes):
        return "picture", picture
    path = Path(picture)
    return path.name.encode("utf-8", "backslashreplace").decode(), path.read_bytes()


def _parsed(kind: type[_Model], response: httpx.Response) -> _Model:
    try:
        return kind.model_validate_json(response.content)
    except ValidationError:
        raise ServiceError(
            response.status_code, "", f"what answered is not this service: {response.text[:80]!r}", ""
        ) from None


def _refusal(response: httpx.Response) -> ServiceError:
    try:
        problem = Problem.model_validate_json(response.content)
        found = problem.code, problem.detail, problem.request_id
    except ValidationError:  # a proxy's
        found = "", response.text[:200] or response.reason_phrase, ""
    if response.status_code not in _AGAIN:
        return ServiceError(response.status_code, *found)
    failure = Unavailable(response.status_code, *found)
    failure.retry_after_s = _retry_after(response)
    return failure


def _retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that ``Retry-After`` names, as a number or a date (RFC 9110, 10.2.3)."""
    given = response.headers.get("retry-after", "")
    if given.isdecimal():
        return float(given)
    try:
        at = email.utils.parsedate_to_datetime(given)
    except (ValueError, OverflowError):
        return None
    return max(0.0, at.timestamp() - time.time())
