"""Start: settings to a running server, in this process or in several workers."""

import logging
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from service.errors import StartError
from service.inference.session import may_run_on_cuda
from service.observability.logs import log_config
from service.server.http_protocol import http_protocol
from service.server.listener import SharedPort, bind
from service.server.supervisor import Supervisor
from service.server.websocket_protocol import websocket_protocol
from service.settings import METRICS_FOLDER_VARIABLE, Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

_log = logging.getLogger(__name__)
# For uvicorn to close its connections, once accepted requests have finished or run out of time.
_CLOSE_TIMEOUT_S: Final = 1
# Standard streams, listeners, libraries, and connections that are being closed.
_OTHER_OPEN_FILES: Final = 100
# Worker health-check timeout, and how long a worker that ended at its start may go unnoticed. Building a session holds
# the interpreter lock, on CUDA for long.
_HEALTH_CHECK_S: Final = 5
_CUDA_HEALTH_CHECK_S: Final = 60


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C, in this process or in ``settings.workers`` processes.

    Raises:
        StartError: the service cannot start.
    """
    settings = _with_open_files(settings)
    if settings.workers > 1:
        _serve_in_workers(settings)
    else:
        _serve_here(settings)


def _serve_here(settings: Settings) -> None:
    # One process keeps its metrics in memory; prometheus_client reads the variable when the application is imported.
    os.environ.pop(METRICS_FOLDER_VARIABLE, None)
    from service.app import load_app  # not needed by the process that supervises workers

    # Before the port is bound: a service that cannot answer must not look as if it could.
    app = load_app(settings)
    listener = _listen(settings.host, settings.port)
    # uvicorn drains, then raises the signal that stopped it once more; a clean stop is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    uvicorn.Server(_config(app, settings)).run(sockets=[listener])


def _serve_in_workers(settings: Settings) -> None:
    with _metrics_folder(settings.metrics_dir) as folder:
        os.environ[METRICS_FOLDER_VARIABLE] = folder
        # On a shared port nobody would notice that another program has it.
        _bound(settings.host, settings.port).close()
        listener = _listen(settings.host, settings.port, SharedPort if sys.platform == "linux" else socket.socket)
        # The supervisor sets the application of its workers.
        supervisor = Supervisor(_config("", settings, factory=True), [listener], settings, Path(folder))
        supervisor.run()
        if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
            from service.app import load_app

            load_app(settings)  # raises what is wrong, once
            raise StartError("a worker did not start; the log says why")


def _metrics_folder(parent: Path | None) -> "tempfile.TemporaryDirectory[str]":
    """Create a folder for this run, so that the metrics of earlier runs are not added and no other file is touched."""
    try:
        if parent:
            parent.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix="service-", dir=parent)
    except OSError as error:
        folder = f"'{parent}'" if parent else "the system's folder for temporary files"
        raise StartError(
            f"setting --metrics-dir (SERVICE_METRICS_DIR): cannot write to {folder}: {error.strerror}"
        ) from None


def _with_open_files(settings: Settings) -> Settings:
    """Raise the limit on open files of this process, and of its workers, to one for each connection.

    Returns:
        the settings, with fewer connections where the default is more than the system allows.

    Raises:
        StartError: the system does not allow the number of connections in the settings.
    """
    if sys.platform == "win32":
        return settings
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.max_connections + _OTHER_OPEN_FILES
    if hard != resource.RLIM_INFINITY and needed > hard:
        if "max_connections" in settings.model_fields_set:
            raise StartError(
                f"setting --max-connections (SERVICE_MAX_CONNECTIONS): {settings.max_connections} connections need "
                f"{needed} open files, and this process may have {hard} (ulimit -Hn)"
            )
        needed = hard
        settings = settings.model_copy(update={"max_connections": max(1, hard - _OTHER_OPEN_FILES)})
        _log.warning("fewer connections, for want of open files", extra={"connections": settings.max_connections})
    if soft != resource.RLIM_INFINITY and needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return settings


def _config(app: "FastAPI | str", settings: Settings, factory: bool = False) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=factory,
        workers=settings.workers,
        log_config=log_config(settings.log_level),
        access_log=False,
        server_header=False,
        http=http_protocol(settings.max_connections, settings.header_timeout_s),  # type: ignore[arg-type]
        ws=websocket_protocol(settings.header_timeout_s),  # type: ignore[arg-type]
        ws_max_size=settings.max_bytes,
        ws_per_message_deflate=False,  # pictures are compressed already
        proxy_headers=False,  # the service does not use the address of the client
        timeout_graceful_shutdown=_CLOSE_TIMEOUT_S,
        timeout_worker_healthcheck=_CUDA_HEALTH_CHECK_S if may_run_on_cuda(settings.provider) else _HEALTH_CHECK_S,
    )


def _listen(host: str, port: int, kind: type[socket.socket] = socket.socket) -> socket.socket:
    listener = _bound(host, port, kind)
    address = listener.getsockname()
    _log.info("listening", extra={"host": address[0], "port": address[1]})
    return listener


def _bound(host: str, port: int, kind: type[socket.socket] = socket.socket) -> socket.socket:
    try:
        return bind(host, port, kind)
    except OSError as error:
        raise StartError(f"cannot listen on {host} port {port}: {error.strerror}") from None
