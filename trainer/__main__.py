"""Command line: ``trainer new | audit | twins | fit | evaluate | compare | predict | rank | export | publish``.

Heavy imports stay inside the commands, so that ``--help`` and ``predict`` start at once.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hides most of TensorFlow's start-up messages

try:
    import typer
except ModuleNotFoundError as missing:
    sys.exit(f"trainer: {missing.name} is not installed; the extra 'trainer' has it: pip install '.[trainer]'")

from service.contract.text import one_line
from trainer.cli.audit_command import audit
from trainer.cli.evaluate_command import compare, evaluate
from trainer.cli.export_command import export
from trainer.cli.fit_command import fit
from trainer.cli.new_command import new
from trainer.cli.predict_command import predict
from trainer.cli.publish_command import publish
from trainer.cli.rank_command import rank
from trainer.cli.twins_command import twins
from trainer.common.errors import PeerLost, TrainerError, WorkerLost
from trainer.common.progress import console
from trainer.recipes.recipe import RecipeError

app = typer.Typer(
    help="Fit, evaluate and export detectors of AI-generated faces.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (new, audit, twins, fit, evaluate, compare, predict, rank, export, publish):
    app.command()(command)


def main() -> None:
    """Run the command line; errors print one line and exit with status 1, Ctrl-C with 130."""
    from service.contract.faces.yunet import FinderError
    from service.contract.image.image_errors import ImageError
    from service.contract.spec import SpecError
    from service.inference.engine import InferenceError
    from service.inference.model_file import ModelFileError

    try:
        app(prog_name="trainer")
    except (PeerLost, WorkerLost) as error:
        _print_error(str(error))
        # At exit, JAX would wait more than a minute for the process that ended, or for the rest of this fit.
        os._exit(1)
    except (TrainerError, RecipeError, SpecError, ImageError, ModelFileError, InferenceError, FinderError) as error:
        _fail(str(error))
    except OSError as error:
        path = f" '{error.filename}'" if error.filename else ""
        _fail(f"{error.strerror or error}{path}; no incomplete files were left")


def _fail(message: str) -> None:
    _print_error(message)
    sys.exit(1)


def _print_error(message: str) -> None:
    console.print(f"error: {one_line(message)}", style="bold red", soft_wrap=True)


if __name__ == "__main__":
    main()
