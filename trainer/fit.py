"""Fit: data folders in, a finished run folder out.

scan -> split -> cache -> fit -> keep the chosen epoch -> :mod:`trainer.finish`.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras

from service.contract.spec import check_field
from trainer.augment import make_augment
from trainer.checkpoints import Checkpoints, RunState, checkpoint_path, write_history
from trainer.dataset import Dataset, Sample, scan
from trainer.errors import TrainerError
from trainer.files import atomic_path, remove_partial, write_json
from trainer.finish import finish
from trainer.networks import compiled_network
from trainer.pipeline import Batches, one_hot, sample_weights
from trainer.progress import console
from trainer.provenance import commit, library_versions
from trainer.recipes import Recipe
from trainer.report import plot_history
from trainer.run import Run
from trainer.splits import Split, SplitRule, read_split, relocate, split, write_split
from trainer.tensors import cache_tensors

_AUGMENT_THREADS = 2


@dataclass(frozen=True, slots=True)
class FitOptions:
    """What ``trainer fit`` was asked for.

    Attributes:
        roots: data folders.
        recipe: with any overrides applied.
        run: where results go.
        seed: of the split, the weights, the data order and the augmentation.
        split_rule: ``stratified`` or ``as-published``.
        resume: go on from the run's last finished epoch.
        cache: folder for decoded tensors that is kept; default: inside the run, removed at the end.
        version: version written into the model; default: the day of the fit.
    """

    roots: Sequence[Path]
    recipe: Recipe
    run: Run
    seed: int
    split_rule: SplitRule
    resume: bool = False
    cache: Path | None = None
    version: str | None = None


def fit(options: FitOptions) -> dict[str, Any] | None:
    """Run every step and return what ``metrics.json`` holds.

    Ctrl-C during training ends it there and goes on with the best epoch so far; the run can still
    be resumed. Files are written whole or not at all. On a Keras backend that cannot export, the
    run ends with ``model.keras`` and None; ``trainer export`` finishes it where TensorFlow is.

    Raises:
        TrainerError: bad input, an existing run without ``resume``, or a step that failed.
        KeyboardInterrupt: Ctrl-C before the first epoch had ended, or after training.
    """
    run, recipe = options.run, options.recipe
    check_field("version", options.version or "default")
    _check_run_folder(options)
    dataset = scan(options.roots, keep_duplicates=options.split_rule == "as-published")
    parts = _resume(options, dataset) if options.resume else _start(options, dataset)
    _announce(dataset, parts)

    keras.utils.set_random_seed(options.seed)
    state, interrupted = _train(options, parts)
    _keep_best(run, recipe, state)
    metrics = None
    if keras.backend.backend() == "tensorflow":
        metrics = finish(run)
    else:
        console.print(f"to calibrate, test and export, where TensorFlow is: trainer export {run.folder}")
    if not interrupted:
        shutil.rmtree(run.checkpoints)
        shutil.rmtree(run.cache, ignore_errors=True)
    return metrics


def _check_run_folder(options: FitOptions) -> None:
    run = options.run
    if options.resume:
        run.read_config()  # refuse what is no run before the long scan
    elif run.folder.exists():
        raise TrainerError(f"run folder '{run.folder}' exists: name another with --out, or go on with --resume")


def _announce(dataset: Dataset, parts: Split) -> None:
    for source, count in dataset.counts().items():
        console.print(f"{source}: {count} images", highlight=False)
    for left_out in dataset.rejected:
        console.print(f"left out {left_out.path}: {left_out.reason}", highlight=False, markup=False, soft_wrap=True)
    sizes = f"train {len(parts.train)}, validation {len(parts.validation)}, "
    sizes += f"calibration {len(parts.calibration)}, test {len(parts.test)}"
    console.print(f"{len(dataset.rejected)} files left out; {sizes}", highlight=False)


def _config(options: FitOptions, dataset: Dataset) -> dict[str, Any]:
    return {
        "recipe": options.recipe.settings(),
        "seed": options.seed,
        "split": options.split_rule,
        "version": options.version or datetime.now(UTC).strftime("%Y.%m.%d"),
        "dataset": {
            "roots": [str(root) for root in options.roots],
            "fingerprint": dataset.fingerprint(),
            "counts": dataset.counts(),
            "left_out": len(dataset.rejected),
        },
        "backend": keras.backend.backend(),
        "library_versions": library_versions(),
        "commit": commit(),
    }


def _start(options: FitOptions, dataset: Dataset) -> Split:
    """Make the run folder with its config and its split, or nothing."""
    run = options.run
    parts = split(dataset, options.split_rule, options.seed)
    run.checkpoints.mkdir(parents=True)
    try:
        write_json(run.config, _config(options, dataset))
        write_split(run.split, dataset, parts)
    except BaseException:
        shutil.rmtree(run.folder)
        raise
    return parts


def _resume(options: FitOptions, dataset: Dataset) -> Split:
    """Hold a run against what it began with, and return the split that it began with."""
    run = options.run
    began = run.read_config()
    if not run.checkpoints.is_dir():
        raise TrainerError(f"run '{run.folder}' has finished: there is nothing to resume")
    now = _identity(options.recipe.settings(), options.seed, options.split_rule, dataset.fingerprint())
    then = _identity(began["recipe"], began["seed"], began["split"], began["dataset"]["fingerprint"])
    other = [f"{key} {then.get(key)}, now {now.get(key)}" for key in {**then, **now} if then.get(key) != now.get(key)]
    if other:
        raise TrainerError(f"run '{run.folder}' began with another {'; '.join(other)}")
    remove_partial(run.folder)
    recipe, version = options.recipe.settings(), options.version or began["version"]
    write_json(run.config, {**began, "recipe": recipe, "version": version})
    parts = relocate(read_split(run.split), dataset)
    write_split(run.split, dataset, parts)
    return parts


def _identity(recipe: dict[str, Any], seed: int, rule: str, fingerprint: str) -> dict[str, Any]:
    """Return, as JSON reads it back, what a resumed run must keep: all but how long it goes on.

    A cosine decay is laid over the number of epochs, so there that must stay too.
    """
    kept = {"recipe " + key: value for key, value in json.loads(json.dumps(recipe)).items()}
    if not recipe["cosine_decay"]:
        del kept["recipe epochs"]
    return {"data fingerprint": fingerprint, "seed": seed, "split": rule, **kept}


def _train(options: FitOptions, parts: Split) -> tuple[RunState, bool]:
    """Fit the remaining epochs; return the state, and whether Ctrl-C ended it early."""
    run, recipe = options.run, options.recipe
    state = RunState.load(run.checkpoints)
    cache = options.cache or run.cache
    train = _batches(options, parts.train, cache, state.epoch)
    validation = Batches(
        cache_tensors(parts.validation, recipe.preprocessing, cache, "validation"),
        one_hot(parts.validation, recipe.class_names),
        recipe.batch_size,
    )
    model = _model(run, recipe, state, len(train))
    checkpoints = Checkpoints(run.checkpoints, run.history, recipe.select, recipe.epochs, state)
    try:
        model.fit(
            train,
            validation_data=validation,
            initial_epoch=state.epoch,
            epochs=recipe.epochs,
            callbacks=[checkpoints],
            verbose=1 if console.is_terminal else 2,
            shuffle=False,
        )
    except KeyboardInterrupt:
        if not checkpoints.state.epoch:
            raise
        console.print(f"stopped in epoch {checkpoints.state.epoch + 1}; going on with the best one so far")
        return checkpoints.state, True
    return checkpoints.state, False


def _batches(options: FitOptions, samples: Sequence[Sample], cache: Path, epoch: int) -> Batches:
    recipe = options.recipe
    return Batches(
        cache_tensors(samples, recipe.train_preprocessing, cache, "training"),
        one_hot(samples, recipe.class_names),
        recipe.batch_size,
        weights=sample_weights(samples, recipe.balance),
        augment=make_augment(recipe.augmentation, recipe.preprocessing.input_height),
        seed=options.seed,
        first_epoch=epoch,
        workers=1 if recipe.augmentation == "none" else _AUGMENT_THREADS,
    )


def _model(run: Run, recipe: Recipe, state: RunState, steps: int) -> keras.Model:
    if state.epoch:
        console.print(f"going on after epoch {state.epoch}")
        return keras.models.load_model(checkpoint_path(run.checkpoints, state.epoch))
    return compiled_network(recipe, steps)


def _keep_best(run: Run, recipe: Recipe, state: RunState) -> None:
    """Write ``model.keras``, the chosen epoch without optimizer state; older results are void then."""
    chosen = keras.models.load_model(checkpoint_path(run.checkpoints, state.best_epoch), compile=False)
    with atomic_path(run.keras_model) as temporary:
        chosen.save(temporary)
    for stale in (run.metrics, run.onnx_model, run.confusion_plot, run.roc_plot):
        stale.unlink(missing_ok=True)
    write_json(run.config, {**run.read_config(), "epochs": state.epoch, "kept_epoch": state.best_epoch})
    write_history(run.history, state.history)
    plot_history(state.history, state.best_epoch, run.history_plot)
    console.print(f"kept epoch {state.best_epoch} of {state.epoch} by the rule '{recipe.select}'")
