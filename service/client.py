"""Client of the service, with retries that honour ``Retry-After``. Needs the extra ``client`` (httpx, tenacity).

    from service.client import Client

    with Client("http://127.0.0.1:8000") as client:
        prediction = client.predict("face.jpg")
        print(prediction.verdict, prediction.confidence)

:class:`AsyncClient` has the same methods as coroutines. A client may be shared between threads, an asynchronous one
between tasks of one event loop.

ServiceError                the service refused the request; has ``code``, ``status``, ``detail``, ``request_id``
└── Unavailable             the request may succeed later; there is no further retry
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
# Statuses of the service, and of a proxy in front of it, that a retry may get past. Requests have no side effects, so
# a request whose response was lost may be sent again too.
_RETRY_STATUSES: Final = frozenset((408, 429, 502, 503, 504))
_KEY_PATTERN: Final = re.compile(r"[\x21-\x7e]+")
_FIRST_BACKOFF_S: Final = 0.25
_MAX_BACKOFF_S: Final = 8.0


class ServiceError(Exception):
    """The service refused a request.

    Attributes:
        status: HTTP status; 0 if there was no response.
        code: error code of the service; empty if there was no response, or it is not from the service.
        detail: description of the error.
        request_id: id of the request in the service's log; empty where ``code`` is.
    """

    def __init__(self, status: int, code: str, detail: str, request_id: str) -> None:
        super().__init__(f"{code or status}: {detail}")
        self.status, self.code, self.detail, self.request_id = status, code, detail, request_id


class Unavailable(ServiceError):
    """The service is overloaded, stopping or unreachable, and there is no further retry.

    Attributes:
        retry_after_s: seconds from the response to the next retry, by ``Retry-After``; None without the header.
    """

    retry_after_s: float | None = None


class _Backoff(wait_base):
    """Waits of one request: as long as the service asks for; otherwise twice as long each time, with jitter."""

    def __init__(self) -> None:
        self._next_s = _FIRST_BACKOFF_S

    def __call__(self, retry_state: RetryCallState) -> float:
        failure = retry_state.outcome.exception() if retry_state.outcome else None
        if isinstance(failure, Unavailable) and failure.retry_after_s is not None:
            return failure.retry_after_s
        wait_s, self._next_s = self._next_s, min(_MAX_BACKOFF_S, 2 * self._next_s)
        return wait_s * random.uniform(0.5, 1.0)


def _retry_options(retries: int, max_wait_s: float) -> dict[str, Any]:
    """Return the options of :class:`tenacity.Retrying` and of its asynchronous twin."""
    if retries < 0:
        raise ValueError(f"retries is {retries}, must be 0 or more")

    def is_temporary(failure: BaseException) -> bool:
        return isinstance(failure, Unavailable) and (failure.retry_after_s or 0.0) <= max_wait_s

    return {
        "stop": stop_after_attempt(retries + 1),
        "retry": retry_if_exception(is_temporary),
        "reraise": True,
    }


class Client:
    """Client of one service.

    Args:
        url: base URL of the service, such as ``http://127.0.0.1:8000``.
        key: API key, if the service requires one.
        retries: maximum retries after 408, 429, 502, 503, 504 or a failed connection.
        timeout_s: timeout of each httpx operation, such as connecting or reading, seconds.
        max_wait_s: longest ``Retry-After`` to wait for, seconds; after a longer one there is no retry.
        transport: httpx transport, such as one that uses a proxy.

    Raises:
        ValueError: ``retries`` is negative, the URL has no scheme, or the key is not valid in a header.
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
        self._http = httpx.Client(
            base_url=_check_url(url), headers=_headers(key), timeout=timeout_s, transport=transport
        )

    def predict(self, picture: Picture) -> Prediction:
        """Return the verdict on one picture, given as bytes or as the path of a file.

        Raises:
            ServiceError: the service refused the picture.
            OSError: the file cannot be read.
        """
        return _parse_response(Prediction, self._ask("POST", "/predict", files=_files([picture])))

    def predict_batch(self, pictures: Sequence[Picture]) -> list[BatchResult]:
        """Return for each picture, in order, its ``prediction``, or the ``problem`` for which it has none.

        Raises:
            ServiceError: the service refused the whole request.
            OSError: a file cannot be read.
        """
        return _parse_response(BatchPrediction, self._ask("POST", "/predict/batch", files=_files(pictures))).results

    def model(self) -> ModelFacts:
        """Return the facts of the served model, with its limits.

        Raises:
            ServiceError: no model is served.
        """
        return _parse_response(ModelFacts, self._ask("GET", "/model"))

    def ready(self) -> bool:
        """Return whether the service is ready; does not retry."""
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        return self._retry.copy(wait=_Backoff())(self._ask_once, method, path, **content)

    def _ask_once(self, method: str, path: str, **content: Any) -> httpx.Response:
        with _as_service_error():
            return _checked(self._http.request(method, path, **content))


class AsyncClient:
    """Asynchronous client of one service; takes the arguments of :class:`Client`."""

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
            base_url=_check_url(url), headers=_headers(key), timeout=timeout_s, transport=transport
        )

    async def predict(self, picture: Picture) -> Prediction:
        """Return the verdict on one picture, as :meth:`Client.predict` does."""
        files = await asyncio.to_thread(_files, [picture])
        return _parse_response(Prediction, await self._ask("POST", "/predict", files=files))

    async def predict_batch(self, pictures: Sequence[Picture]) -> list[BatchResult]:
        """Return a result for each picture, as :meth:`Client.predict_batch` does."""
        files = await asyncio.to_thread(_files, pictures)
        return _parse_response(BatchPrediction, await self._ask("POST", "/predict/batch", files=files)).results

    async def model(self) -> ModelFacts:
        """Return the facts of the served model, as :meth:`Client.model` does."""
        return _parse_response(ModelFacts, await self._ask("GET", "/model"))

    async def ready(self) -> bool:
        """Return whether the service is ready; does not retry."""
        try:
            return (await self._http.get("/readyz")).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        return await self._retry.copy(wait=_Backoff())(self._ask_once, method, path, **content)

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
    if not _KEY_PATTERN.fullmatch(key):  # the key is not shown; httpx would show it
        raise ValueError(
            "the key is empty or contains spaces, line ends or non-ASCII characters; strip a key read from a file"
        )
    return {"Authorization": f"Bearer {key}"}


def _check_url(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"the URL {url[:80]!r} does not begin with http:// or https://")
    return url


def _files(pictures: Iterable[Picture]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("file", _read_picture(picture)) for picture in pictures]


def _read_picture(picture: Picture) -> tuple[str, bytes]:
    """Return a picture's name and bytes; the service ignores the name."""
    if isinstance(picture, bytes):
        return "picture", picture
    path = Path(picture)
    return path.name.encode("utf-8", "backslashreplace").decode(), path.read_bytes()


def _parse_response(kind: type[_Model], response: httpx.Response) -> _Model:
    try:
        return kind.model_validate_json(response.content)
    except ValidationError:
        raise ServiceError(
            response.status_code, "", f"the response is not from this service: {response.text[:80]!r}", ""
        ) from None


def _refusal(response: httpx.Response) -> ServiceError:
    try:
        problem = Problem.model_validate_json(response.content)
        fields = problem.code, problem.detail, problem.request_id
    except ValidationError:  # the response of a proxy
        fields = "", response.text[:200] or response.reason_phrase, ""
    if response.status_code not in _RETRY_STATUSES:
        return ServiceError(response.status_code, *fields)
    failure = Unavailable(response.status_code, *fields)
    failure.retry_after_s = _retry_after(response)
    return failure


def _retry_after(response: httpx.Response) -> float | None:
    """Return the seconds in ``Retry-After``, a number or a date (RFC 9110, 10.2.3); None if there are none."""
    header_value = response.headers.get("retry-after", "")
    if header_value.isdecimal():
        return float(header_value)
    try:
        date = email.utils.parsedate_to_datetime(header_value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, date.timestamp() - time.time())
