"""Cluster: the same scoring in workers of a Ray cluster, as actors of Ray Data.

A worker that dies is replaced and its files are scored again; a row reaches the journal once. Files have to lie under
the same path on every machine; the model file comes from here.
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
from service.inference.engine import Engine, load_engine
from service.offline.rows import Row, score_files
from service.offline.score_error import ScoreError
from service.offline.score_options import ScoreOptions

_FILES_AT_ONCE = 32
_ANSWER_TIMEOUT_S = 5.0
_TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def rows_of(names: list[str], content: bytes, options: ScoreOptions) -> Iterator[Row]:
    """Yield the row of every file, as they come.

    Args:
        names: of the files.
        content: of the model file.
        options: what is done with a picture, and which cluster.

    Raises:
        ScoreError: Ray is not installed, the cluster does not answer, or the run fails.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if any(os.environ.get(name) for name in _TOKENS) or (Path.home() / ".ray" / "auth_token").exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # which a client is not in by itself, as clusters are
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        import ray
        import ray.data
    except ImportError:
        raise ScoreError("--engine ray needs the extra 'bulk' (pip install face-authenticity[bulk])") from None
    _connect(ray, options)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        given = ray.put(content)
        files = [{"path": name, "file": str(Path(name).absolute())} for name in names]
        blocks = -(-len(files) // _FILES_AT_ONCE)
        scored = ray.data.from_items(files, override_num_blocks=blocks).map_batches(
            Worker,
            batch_size=_FILES_AT_ONCE,
            compute=ray.data.ActorPoolStrategy(size=options.ray_workers),
            num_cpus=1,
            fn_constructor_kwargs={"content": [given], "options": options.model_dump(mode="json")},
        )
        for item in scored.iter_rows():
            row: Row = json.loads(item["row"])
            yield row
    except ray.exceptions.RayError as error:
        raise ScoreError(f"the Ray run failed: {str(error).strip().splitlines()[-1][:300]}; --resume goes on") from None
    finally:
        ray.shutdown()


class Worker:
    """One process of the cluster: the model, and the threads that score with it."""

    def __init__(self, content: list[Any], options: dict[str, Any]) -> None:
        import ray

        # As they were checked; of this process's environment nothing is to be taken.
        self._options = ScoreOptions.model_construct(**(_typed(options)))
        self._engine: Engine = load_engine(self._options, ray.get(content[0]))

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Score some files: ``file``, as it lies here, under the name ``path``."""
        names = dict(zip(map(str, batch["file"]), map(str, batch["path"]), strict=True))
        rows: list[str] = []

        def take(row: Row) -> None:
            rows.append(json.dumps(row | {"path": names[row["path"]]}))

        asyncio.run(score_files(names, self._engine, self._options, take))
        return {"row": rows}


def _typed(options: dict[str, Any]) -> dict[str, Any]:
    anchors = options["trust_anchors"]
    typed = {"model": Path(options["model"]), "trust_anchors": None if anchors is None else Path(anchors)}
    return options | typed | {"model_sha256": None, "model_public_key": None}


def _connect(ray: Any, options: ScoreOptions) -> None:
    address = options.ray_address
    quiet = {"log_to_driver": False, "logging_level": "error", "configure_logging": True}
    if address is None:
        # Of its own, whatever RAY_ADDRESS says.
        here = {"num_cpus": options.ray_workers, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        what, chosen = "a cluster cannot be started here", {"address": "local", **here}
    else:
        _check_answers(address)
        # So that the machines of the cluster need what this package needs, and not this version of it.
        package = str(Path(service.__file__).parent)
        what = f"setting --ray-address: '{address}' is no Ray cluster that can be used"
        chosen = {"address": address, "runtime_env": {"py_modules": [package]}}
    try:
        ray.init(**chosen, **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        raise ScoreError(f"{what}: {reason}") from None


def _check_answers(address: str) -> None:
    """Refuse an address where no gRPC server answers; Ray itself would try for minutes."""
    if address == "auto":
        return
    import grpc

    host, _, port = address.rpartition(":")
    # (Ray Data does not run through ray://, Ray's client.)
    if not host or "/" in host or not port.isdecimal() or len(port) > 5 or not 0 < int(port) < 65_536:
        raise ScoreError(f"setting --ray-address: '{address}' is not HOST:PORT of the cluster's head, or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_TIMEOUT_S).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ScoreError(f"setting --ray-address: '{address}' does not answer: {reason}") from None
    with grpc.insecure_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(_ANSWER_TIMEOUT_S)
        except grpc.FutureTimeoutError:
            raise ScoreError(f"setting --ray-address: what answers at '{address}' is no Ray cluster") from None
