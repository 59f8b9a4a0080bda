"""``trainer fit``."""

from typing import TYPE_CHECKING

from trainer.cli import fit_arguments as arguments
from trainer.cli.arguments import Data, FaceMarginOption, FramingOption, Groups
from trainer.common.errors import PeerLost, WorkerLost
from trainer.common.progress import console
from trainer.recipes.overrides import overridden
from trainer.recipes.recipe import Recipe, changed_recipe
from trainer.recipes.recipe_files import named_recipe
from trainer.recipes.run_config import SplitRule
from trainer.report.printing import print_table

if TYPE_CHECKING:
    from trainer.training.fit_options import FitOptions


def fit(
    data: Data,
    recipe: arguments.RecipeName,
    out: arguments.Out,
    split: arguments.SplitOption = "stratified",
    groups: Groups = "listed",
    one_class_groups: arguments.OneClassGroups = False,
    holdout_source: arguments.HoldoutSource = None,
    outliers: arguments.Outliers = None,
    augment: arguments.Augment = None,
    epochs: arguments.Epochs = None,
    batch_size: arguments.BatchSize = None,
    learning_rate: arguments.LearningRate = None,
    resize_filter: arguments.ResizeFilterOption = None,
    framing: FramingOption = None,
    face_margin: FaceMarginOption = None,
    settings: arguments.Settings = None,
    seed: arguments.Seed = None,
    split_seed: arguments.SplitSeed = None,
    resume: arguments.Resume = False,
    cache: arguments.Cache = None,
    workers: arguments.Workers = 0,
    tensorboard: arguments.TensorBoard = False,
    model_version: arguments.ModelVersion = None,
) -> None:
    """Train a recipe on folders of faces; write the model, its metrics and plots to RUN."""
    selected_recipe = changed_recipe(
        named_recipe(recipe),
        augmentation=augment,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        resize_filter=resize_filter,
        framing=framing,
        face_margin=face_margin,
    )
    selected_recipe = overridden(selected_recipe, settings or ())
    from trainer.common.run import Run
    from trainer.training.fit_options import FitOptions

    options = FitOptions(
        roots=data,
        recipe=selected_recipe,
        run=Run(out),
        seed=_default_seed(selected_recipe, split) if seed is None else seed,
        split_rule=split,
        groups=groups,
        one_class_groups=one_class_groups,
        holdout=tuple(holdout_source or ()),
        resume=resume,
        cache=cache,
        version=model_version,
        split_seed=split_seed,
        workers=workers,
        tensorboard=tensorboard,
        outliers=tuple(outliers or ()),
    )
    _run(options)
    console.print(f"written: {out}")


def _default_seed(recipe: Recipe, split: SplitRule) -> int:
    return recipe.published_seed if split == "as-published" else 42


def _run(options: "FitOptions") -> None:
    """Run the fit and print its test metrics."""
    from trainer.training.fit import fit as run_fit
    from trainer.training.tensorboard import check_tensorboard

    if options.tensorboard:
        check_tensorboard()
    try:
        metrics = run_fit(options)
    except (OSError, PeerLost, WorkerLost, KeyboardInterrupt):
        if (options.run.checkpoints / "state.json").exists():
            console.print("to resume after the last finished epoch, run the same command with --resume")
        raise
    if metrics:
        from trainer.report.evaluation_page import evaluation_table

        print_table(evaluation_table(metrics["test"]))
        parity = metrics["parity"]
        console.print(f"parity: largest logit difference {parity['max_difference']:.1e} over {parity['files']} files")
