"""``trainer new``."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainer.common.errors import TrainerError

if TYPE_CHECKING:
    from trainer.recipes.questions import Answer, Question

_FEW = 500


def new(
    path: Annotated[Path, typer.Argument(help="Recipe file to write, NAME.toml.", metavar="RECIPE.toml")],
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Data folder; may be repeated. Default: it is asked for.", metavar="DATA"),
    ] = None,
    defaults: Annotated[bool, typer.Option("--defaults", help="Ask nothing, and take the first answers.")] = False,
) -> None:
    """Ask a few questions, write a recipe file, and say how to go on."""
    from trainer.common.files import atomic_path, refuse_existing
    from trainer.recipes.questions import NETWORKS, questions, recipe_file
    from trainer.recipes.recipe_files import SUFFIX

    if path.suffix.lower() != SUFFIX:
        raise TrainerError(f"'{path}' does not end with {SUFFIX}")
    refuse_existing(path)
    folders = list(data or ())
    if not folders and not defaults:
        text = "Folders of your pictures, each with real/ and fake/, or one of them"
        said = typer.prompt(text, default="", show_default=False)
        folders = [Path(name) for name in shlex.split(said)]
    counted = [_count(folder) for folder in folders]
    network = str(_ask(NETWORKS, defaults).settings["recipe"][0])
    chosen = [_ask(question, defaults) for question in questions(network)]
    text = recipe_file(network, chosen)
    with atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8")
    where = shlex.join(map(str, folders)) or "DATA"
    print(f"written: {path}\n")
    for line in _advice(counted):
        print(line)
    print("Now see what gives the classes away besides the faces, then fit:")
    print(f"  trainer audit {where} --report audit")
    print(f"  trainer fit {where} --recipe {shlex.quote(str(path))} --out {shlex.quote(f'runs/{path.stem}')}")


def _ask(question: "Question", defaults: bool) -> "Answer":
    if defaults:
        return question.answers[question.default]
    typer.echo(f"\n{question.text}")
    for position, answer in enumerate(question.answers, 1):
        typer.echo(f"  {position}  {answer.words}")
    count = len(question.answers)
    while True:
        number: int = typer.prompt("Number", type=int, default=question.default + 1)
        if 1 <= number <= count:
            return question.answers[number - 1]
        typer.echo(f"{number} is not one of 1 to {count}.")


def _count(folder: Path) -> tuple[int, int]:
    """Return how many files there are of each class.

    Raises:
        TrainerError: there is no such folder, or it has neither class.
    """
    if not folder.is_dir():
        raise TrainerError(f"data folder '{folder}' does not exist")
    found = [sum(path.is_file() for path in (folder / label).rglob("*")) for label in ("real", "fake")]
    if not any(found):
        raise TrainerError(f"data folder '{folder}' holds no file in real/ or fake/")
    print(f"{folder}: {found[0]} files in real/, {found[1]} in fake/")
    return found[0], found[1]


def _advice(counted: list[tuple[int, int]]) -> list[str]:
    """Return what is to be known of this much data."""
    if not counted:
        return []
    real, fake = (sum(pair[place] for pair in counted) for place in (0, 1))
    said = []
    if not real or not fake:
        said.append(
            f"There are {real} real and {fake} fake pictures, and a detector needs both: name another folder, too."
        )
    elif min(real, fake) < _FEW:
        said.append(
            f"{min(real, fake)} pictures of the rarer class are few: expect wide intervals, and look at the mistakes."
        )
    if any(not one or not other for one, other in counted) and real and fake:
        said.append(
            "A folder of one class alone gives that class away by size, format or source; the audit says how much."
        )
    return said
