"""Offline scoring in workers of a Ray cluster, as Ray Data actors.

A worker that dies is replaced and its files are scored again; each row is written to the journal once. Files must have
the same path on every machine; the model file is sent to the workers.
"""

import asyncio
import json
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import service
from service.errors import ScoreError
from service.inference.engine import Engine, load_engine
from service.offline.rows import Row, score_files
from service.offline.score_options import ScoreOptions

_BATCH_FILES = 32
_CONNECT_TIMEOUT_S = 5.0
_TOKEN_VARIABLES = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def rows_of(names: list[str], content: bytes, options: ScoreOptions) -> Iterator[Row]:
    """Score files on the cluster and yield each row as it arrives.

    Args:
        names: paths of the files.
        content: bytes of the model file.
        options: settings for scoring and for the cluster.

    Raises:
        ScoreError: Ray is not installed, the cluster does not answer, or the run fails.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no outbound connections
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if any(os.environ.get(name) for name in _TOKEN_VARIABLES) or (Path.home() / ".ray" / "auth_token").exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # the default of clusters, but not of clients
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        import grpc
        import ray
        import ray.data
    except ImportError:
        raise ScoreError("--engine ray needs the extra 'bulk' (pip install face-authenticity[bulk])") from None
    _connect(ray, grpc, options)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        model_reference = ray.put(content)
        files = [{"path": name, "file": str(Path(name).absolute())} for name in names]
        blocks = -(-len(files) // _BATCH_FILES)
        scored = ray.data.from_items(files, override_num_blocks=blocks).map_batches(
            Worker,
            batch_size=_BATCH_FILES,
            compute=ray.data.ActorPoolStrategy(size=options.ray_workers),
            num_cpus=1,
            fn_constructor_kwargs={"content": [model_reference], "options": options.model_dump(mode="json")},
        )
        for item in scored.iter_rows():
            row: Row = json.loads(item["row"])
            yield row
    except ray.exceptions.RayError as error:
        raise ScoreError(
            f"the Ray run failed: {str(error).strip().splitlines()[-1][:300]}; use --resume to continue"
        ) from None
    finally:
        ray.shutdown()


class Worker:
    """Worker process of the cluster, with its own engine and threads."""

    def __init__(self, content: list[Any], options: dict[str, Any]) -> None:
        import ray

        # Already validated; validation would read the environment variables of this process.
        self._options = ScoreOptions.model_construct(**(_with_paths(options)))
        self._engine: Engine = load_engine(self._options, ray.get(content[0]))

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Score the files ``file``; their rows carry the names ``path``."""
        names = dict(zip(map(str, batch["file"]), map(str, batch["path"]), strict=True))
        rows: list[str] = []

        def add_row(row: Row) -> None:
            rows.append(json.dumps(row | {"path": names[row["path"]]}))

        asyncio.run(score_files(names, self._engine, self._options, add_row))
        return {"row": rows}


def _with_paths(options: dict[str, Any]) -> dict[str, Any]:
    anchors = options["trust_anchors"]
    paths = {"model": Path(options["model"]), "trust_anchors": None if anchors is None else Path(anchors)}
    return options | paths | {"model_sha256": None, "model_public_key": None}


def _connect(ray: Any, grpc: Any, options: ScoreOptions) -> None:
    address = options.ray_address
    log_options = {"log_to_driver": False, "logging_level": "error", "configure_logging": True}
    if address is None:
        # "local" starts a new cluster even if RAY_ADDRESS is set.
        local_options = {"num_cpus": options.ray_workers, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        problem, ray_options = "cannot start a local Ray cluster", {"address": "local", **local_options}
    else:
        _check_answers(grpc, address)
        # The machines of the cluster need this package's dependencies, but not this version of the package.
        package = str(Path(service.__file__).parent)
        problem = f"setting --ray-address: '{address}' is not a usable Ray cluster"
        ray_options = {"address": address, "runtime_env": {"py_modules": [package]}}
    try:
        ray.init(**ray_options, **log_options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        raise ScoreError(f"{problem}: {reason}") from None


def _check_answers(grpc: Any, address: str) -> None:
    """Refuse an address where no gRPC server answers; Ray itself would retry for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    # Ray Data does not work through ray:// addresses (Ray Client).
    if not host or "/" in host or not port.isdecimal() or len(port) > 5 or not 0 < int(port) < 65_536:
        raise ScoreError(f"setting --ray-address: '{address}' is neither HOST:PORT of the cluster's head nor auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_TIMEOUT_S).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ScoreError(f"setting --ray-address: '{address}' does not answer: {reason}") from None
    # As Ray does itself: a proxy of the environment is for the web.
    with grpc.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),)) as channel:
        try:
            grpc.channel_ready_future(channel).result(_CONNECT_TIMEOUT_S)
        except grpc.FutureTimeoutError:
            raise ScoreError(f"setting --ray-address: the server at '{address}' is not a Ray cluster") from None
