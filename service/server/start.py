"""Start: settings to a running server, in this process or in several workers."""

import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from service.inference.session import may_run_on_cuda
from service.observability.logs import log_config
from service.server.http_protocol import connections
from service.server.launch import StartError, load
from service.server.supervisor import Workers
from service.server.websocket_protocol import sockets
from service.settings import SERIES_VARIABLE, Settings

if TYPE_CHECKING:
    from fastapi import FastAPI


_log = logging.getLogger(__name__)
# What the server has for closing connections, once accepted requests have finished or had their time.
_CLOSING_S = 1
_OTHER_FILES = 100  # standard streams, listeners, libraries, and connections that are just being closed
# How long a worker may be deaf before it is killed, and how long one that ended at its start may go unnoticed. Building
# a session keeps the interpreter's lock, on CUDA for long.
_SILENCE_S, _SILENCE_ON_CUDA_S = 5, 60


def serve(settings: Settings) -> None:
    """Serve in this process until SIGTERM or Ctrl-C.

    Raises:
        StartError: the service cannot start.
    """
    settings = _with_open_files(settings)
    os.environ.pop(SERIES_VARIABLE, None)  # one process keeps its series in memory
    # Before the port is bound: a service that cannot answer must not look as if it could.
    app = load(settings)
    listener = _listen(settings.host, settings.port)
    _say(listener)
    # uvicorn drains, then raises the signal that stopped it once more; a clean stop is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    uvicorn.Server(_config(app, settings)).run(sockets=[listener])


def serve_by_workers(settings: Settings) -> None:
    """Start the workers, replace those that die, and stop them all at SIGTERM or Ctrl-C.

    Raises:
        StartError: the service cannot start.
    """
    settings = _with_open_files(settings)
    with _series_folder(settings.metrics_dir) as folder:
        os.environ[SERIES_VARIABLE] = folder
        # Shared, a port that is taken would not be noticed.
        _listen(settings.host, settings.port).close()
        kind = SharedPort if sys.platform == "linux" else socket.socket
        listener = _listen(settings.host, settings.port, kind)
        _say(listener)
        workers = Workers(_config(load, settings, factory=True), [listener], settings, Path(folder))
        workers.run()
        if any(process.exitcode == STARTUP_FAILURE for process in workers.processes):
            load(settings)  # says what is wrong, once
            raise StartError("a worker did not start; the log says why")


def _series_folder(inside: Path | None) -> "tempfile.TemporaryDirectory[str]":
    """Make the folder of this run's series, so that no earlier run's are added and no other file is touched."""
    try:
        if inside:
            inside.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix="service-", dir=inside)
    except OSError as error:
        folder = f"'{inside}'" if inside else "the system's folder for temporary files"
        raise StartError(
            f"setting --metrics-dir (SERVICE_METRICS_DIR): cannot write to {folder}: {error.strerror}"
        ) from None


def _with_open_files(settings: Settings) -> Settings:
    """Let this process, and the workers that it starts, have a file descriptor for each connection.

    Returns:
        the settings, with fewer connections where no number was asked for and the system allows no more.

    Raises:
        StartError: the system does not allow the number that was asked for.
    """
    if sys.platform == "win32":
        return settings
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.max_connections + _OTHER_FILES
    if hard != resource.RLIM_INFINITY and needed > hard:
        if "max_connections" in settings.model_fields_set:
            raise StartError(
                f"setting --max-connections (SERVICE_MAX_CONNECTIONS): {settings.max_connections} connections need "
                f"{needed} open files, and this process may have {hard} (ulimit -Hn)"
            )
        needed = hard
        settings = settings.model_copy(update={"max_connections": max(1, hard - _OTHER_FILES)})
        _log.warning("fewer connections, for want of open files", extra={"connections": settings.max_connections})
    if soft != resource.RLIM_INFINITY and needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return settings


def _config(app: "FastAPI | Callable[..., FastAPI]", settings: Settings, factory: bool = False) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=factory,
        workers=settings.workers,
        log_config=log_config(settings.log_level),
        access_log=False,
        server_header=False,
        http=connections(settings.max_connections, settings.header_timeout_s),  # type: ignore[arg-type]
        ws=sockets(settings.header_timeout_s),  # type: ignore[arg-type]
        ws_max_size=settings.max_bytes,
        ws_per_message_deflate=False,  # pictures are compressed
        proxy_headers=False,  # nothing here asks who the client is
        timeout_graceful_shutdown=_CLOSING_S,
        timeout_worker_healthcheck=_SILENCE_ON_CUDA_S if may_run_on_cuda(settings.provider) else _SILENCE_S,
    )


def _say(listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    _log.info("listening", extra={"host": host, "port": port})


class SharedPort(socket.socket):
    """A listener that the kernel gives each worker one of its own for, so that it deals out the connections.

    One socket that all workers accept from goes to whoever is awake, who takes every connection of a burst: of 8 at
    once, one of two workers got all, again and again. (SO_REUSEPORT deals them out on Linux only.)
    """

    def __reduce__(self) -> tuple[object, ...]:
        """Be made anew in the worker that this is sent to."""
        return _bound, (*self.getsockname()[:2], SharedPort)


def _listen(host: str, port: int, kind: type[socket.socket] = socket.socket) -> socket.socket:
    try:
        return _bound(host, port, kind)
    except OSError as error:
        raise StartError(f"cannot listen on {host} port {port}: {error.strerror}") from None


def _bound(host: str, port: int, kind: type[socket.socket]) -> socket.socket:
    # By its protocol asyncio knows that it may switch Nagle's algorithm off; else half of an answer waits for 40 ms.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = kind(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if kind is SharedPort:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    return listener
