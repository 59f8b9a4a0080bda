"""Train a network on data folders and write a finished run folder.

Steps: scan -> drop pictures without a face (framing ``face``) -> group -> scan outliers -> split -> audit -> cache ->
fit -> keep the chosen epoch -> :mod:`trainer.training.finish`.
"""

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import keras

from service.contract.spec import Precision, check_field
from trainer.audit.audit import audit
from trainer.common.errors import PeerLost, TrainerError, WorkerLost
from trainer.common.files import atomic_path, folder_lock
from trainer.common.history import write_history
from trainer.common.progress import console
from trainer.common.run import Run
from trainer.data.dataset import Dataset, scan
from trainer.data.face_framing import with_faces
from trainer.data.groups import grouped
from trainer.data.outliers import scan_outliers
from trainer.data.splits import Split
from trainer.networks.networks import compiled_network, uses_xla
from trainer.recipes.recipe import Recipe
from trainer.recipes.run_config import read_run_config, write_run_config
from trainer.report import plots
from trainer.report.printing import print_left_out
from trainer.training.checkpoints import Checkpoints, Reseed, RunState, load_checkpoint
from trainer.training.distribute import PEER_GONE, Follow, Shard, agree, join, leave_distribution
from trainer.training.fit_options import FitOptions, check_run_folder
from trainer.training.interrupt import between_batches
from trainer.training.live import LiveView
from trainer.training.pipeline import training_batches, validation_batches
from trainer.training.run_start import identity, split_of, write_start
from trainer.training.tensorboard import EventFiles


def fit(options: FitOptions) -> dict[str, Any] | None:
    """Run every step and return the content of ``metrics.json``.

    Ctrl-C during training stops it before the next batch and continues with the best epoch so far; the run can still
    be resumed. Files are written atomically. On a Keras backend that cannot export, the run ends with ``model.keras``
    and the result is None; ``trainer export`` finishes it where TensorFlow is installed. If several processes train
    together (:mod:`trainer.training.distribute`), only the first writes the run folder.

    Raises:
        TrainerError: invalid input, an existing run without ``resume``, or a step that failed.
        KeyboardInterrupt: Ctrl-C before the end of the first epoch, or after training.
    """
    run, recipe = options.run, options.recipe
    check_field("version", options.version or "default")
    shard = join(recipe.batch_size // recipe.views)
    if shard.writes or options.resume:
        check_run_folder(options)
    with folder_lock(run.folder) if options.resume and shard.writes else nullcontext():
        if options.resume:
            check_run_folder(options)  # again: the process that held the lock may have finished the run
        return _fit(options, shard)


def _fit(options: FitOptions, shard: Shard) -> dict[str, Any] | None:
    run, recipe = options.run, options.recipe
    dataset = scan(options.roots, keep_duplicates=options.split_rule == "as-published")
    dataset = with_faces(dataset, recipe)
    dataset = grouped(dataset, options.groups, one_class=options.one_class_groups)
    outliers = scan_outliers(options.outliers, recipe, dataset)
    config = options.config(dataset, outliers)
    parts = split_of(options, config, dataset, outliers)
    agree(shard, identity(config))
    if len(parts.validation) < shard.devices:
        raise TrainerError(
            f"{len(parts.validation)} validation pictures are too few for {shard.devices} devices: "
            f"at least one per device is needed"
        )
    if not shard.writes:
        _follow(options, parts, shard)
        return None
    audit_result = None if options.resume else audit(dataset)
    write_start(options, config, dataset, parts, audit_result)
    with nullcontext() if options.resume else folder_lock(run.folder):
        _announce(dataset, outliers, parts, audit_result.findings if audit_result else [])
        return _train_and_finish(options, parts, shard)


def _train_and_finish(options: FitOptions, parts: Split, shard: Shard) -> dict[str, Any] | None:
    run, recipe = options.run, options.recipe
    state, interrupted = _train(options, parts, options.cache or run.cache, shard)
    leave_distribution()
    _keep_best(run, recipe, state)
    metrics = None
    if keras.backend.backend() == "tensorflow":
        from trainer.training.finish import finish  # imports onnx and tf2onnx, which may not be installed

        metrics = finish(run)
    else:
        console.print(
            f"to calibrate, test and export, run this where TensorFlow is installed: trainer export {run.folder}"
        )
    if not interrupted:
        _remove(run.cache)
        _remove(run.checkpoints)
    return metrics


def _remove(folder: Path) -> None:
    """Rename a folder, then remove it, so that a kill never leaves a partial folder under its name."""
    if folder.is_dir():
        shutil.rmtree(folder.rename(folder.with_name(f".partial-{folder.name}")))


def _follow(options: FitOptions, parts: Split, shard: Shard) -> None:
    """Train alongside the process that writes the run, with a separate cache."""
    if options.cache:
        _train(options, parts, options.cache, shard)
        return
    with tempfile.TemporaryDirectory() as cache:
        _train(options, parts, Path(cache), shard)


def _announce(dataset: Dataset, outliers: Dataset, parts: Split, findings: Sequence[str]) -> None:
    for source, count in {**dataset.counts(), **outliers.counts()}.items():
        console.print(f"{source}: {count} images")
    for scanned in (dataset, outliers):
        print_left_out(scanned)
    sizes = f"train {len(parts.train)}, validation {len(parts.validation)}, "
    sizes += f"calibration {len(parts.calibration)}, test {len(parts.test)}, held out {len(parts.holdout)}"
    sizes += f", outliers {len(parts.outliers)}" if parts.outliers else ""
    console.print(f"{len(dataset.rejected) + len(outliers.rejected)} files left out; {sizes}")
    for sentence in findings:
        console.print(f"audit: {sentence}", soft_wrap=True)


def _train(options: FitOptions, parts: Split, cache: Path, shard: Shard) -> tuple[RunState, bool]:
    """Fit the remaining epochs; return the state and whether Ctrl-C ended training early."""
    run, recipe = options.run, options.recipe
    keras.utils.set_random_seed(options.seed)
    state = RunState.load(run.checkpoints) if options.resume else RunState()
    train, scores = training_batches(options, parts, cache, state.epoch, shard)
    if shard.writes:
        write_run_config(run, replace(read_run_config(run), after_preprocessing=scores))
        console.print(scores["sentence"])
    validation = validation_batches(options, parts, cache, shard)
    model = _model(run, recipe, state, len(train))
    live = LiveView(console, recipe.epochs, recipe.batch_size, state.history)
    observers = [live, *([EventFiles(run.tensorboard)] if options.tensorboard else [])] if shard.writes else []
    checkpoints = Checkpoints(run, recipe.select, recipe.epochs, state, train.order_digest)
    try:
        with closing(train), between_batches() as interrupt:
            if keras.backend.backend() != "tensorflow":
                # Otherwise Keras builds from the first batch, and the batches queued behind it appear in later epochs.
                model.test_on_batch(*validation[0])
            model.fit(
                train,
                validation_data=validation,
                initial_epoch=state.epoch,
                epochs=recipe.epochs,
                callbacks=[Reseed(options.seed), checkpoints if shard.writes else Follow(), interrupt, *observers],
                verbose=0 if console.is_terminal or not shard.writes else 2,
                shuffle=False,
            )
    except Exception as error:
        if train.lost:
            raise WorkerLost from error
        if shard.processes == 1 or not any(sign in str(error) for sign in PEER_GONE):
            raise
        raise PeerLost(f"this fit lost its connection to another process: {str(error).splitlines()[0]}") from error
    except KeyboardInterrupt:
        if not checkpoints.state.epoch:
            raise
        console.print(f"stopped in epoch {checkpoints.state.epoch + 1}; continuing with the best epoch so far")
        return checkpoints.state, True
    finally:
        live.close()
    return checkpoints.state, False


def _model(run: Run, recipe: Recipe, state: RunState, steps: int) -> keras.Model:
    if not state.epoch:
        return compiled_network(recipe, steps)
    console.print(f"resuming after epoch {state.epoch}")
    model = load_checkpoint(run.checkpoints, state, state.epoch)
    model.jit_compile = uses_xla()  # the run may have started on another backend
    return model


def _keep_best(run: Run, recipe: Recipe, state: RunState) -> None:
    """Write ``model.keras``, the chosen epoch without optimizer state, and delete results of an older model."""
    chosen = load_checkpoint(run.checkpoints, state, state.best_epoch, compiled=False)
    write_run_config(run, replace(read_run_config(run), epochs=state.epoch, kept_epoch=state.best_epoch))
    with atomic_path(run.keras_model) as temporary:
        chosen.save(temporary)
    results = (path(precision) for precision in get_args(Precision) for path in (run.metrics_at, run.model_at))
    for stale in (*results, run.confusion_plot, run.roc_plot, run.reliability_plot):
        stale.unlink(missing_ok=True)
    write_history(run.history, state.history)
    plots.save(plots.history(state.history, state.best_epoch), run.history_plot)
    console.print(f"kept epoch {state.best_epoch} of {state.epoch} (select: '{recipe.select}')")
