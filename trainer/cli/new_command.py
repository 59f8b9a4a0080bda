"""``trainer new``."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainer.common.errors import TrainerError

if TYPE_CHECKING:
    from trainer.recipes.questions import Answer, Question

_MIN_CLASS_PICTURES = 500


def new(
    path: Annotated[Path, typer.Argument(help="Recipe file to write, NAME.toml.", metavar="RECIPE.toml")],
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Data folder. Repeatable. Default: ask for it.", metavar="DATA"),
    ] = None,
    defaults: Annotated[bool, typer.Option("--defaults", help="Use the default answers without asking.")] = False,
) -> None:
    """Ask a few questions, write a recipe file, and print the next commands."""
    from trainer.common.files import atomic_path, refuse_existing
    from trainer.recipes.questions import NETWORKS, questions, recipe_file
    from trainer.recipes.recipe_files import SUFFIX

    if path.suffix.lower() != SUFFIX:
        raise TrainerError(f"recipe file '{path}' does not end with {SUFFIX}")
    refuse_existing(path)
    folders = list(data or ())
    if not folders and not defaults:
        text = "Data folders, each with real/, fake/ or both"
        answer = typer.prompt(text, default="", show_default=False)
        folders = [Path(name) for name in shlex.split(answer)]
    counts = [_count(folder) for folder in folders]
    network = str(_ask(NETWORKS, defaults).settings["recipe"][0])
    answers = [_ask(question, defaults) for question in questions(network)]
    text = recipe_file(network, answers)
    with atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8")
    data_arguments = shlex.join(map(str, folders)) or "DATA"
    print(f"written: {path}\n")
    for line in _advice(counts):
        print(line)
    print("Next, check what reveals the classes besides the faces, then fit:")
    print(f"  trainer audit {data_arguments} --report audit")
    print(f"  trainer fit {data_arguments} --recipe {shlex.quote(str(path))} --out {shlex.quote(f'runs/{path.stem}')}")


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
        typer.echo(f"{number} is not a number from 1 to {count}.")


def _count(folder: Path) -> tuple[int, int]:
    """Count the files of each class, real and fake.

    Raises:
        TrainerError: the folder does not exist or has no files of either class.
    """
    if not folder.is_dir():
        raise TrainerError(f"data folder '{folder}' does not exist")
    counts = [sum(path.is_file() for path in (folder / label).rglob("*")) for label in ("real", "fake")]
    if not any(counts):
        raise TrainerError(f"data folder '{folder}' holds no file in real/ or fake/")
    print(f"{folder}: {counts[0]} files in real/, {counts[1]} in fake/")
    return counts[0], counts[1]


def _advice(counts: list[tuple[int, int]]) -> list[str]:
    """Return warnings about missing or small classes."""
    if not counts:
        return []
    real, fake = (sum(pair[index] for pair in counts) for index in (0, 1))
    warnings = []
    if not real or not fake:
        warnings.append(
            f"There are {real} real and {fake} fake pictures. A detector needs both: add another data folder."
        )
    elif min(real, fake) < _MIN_CLASS_PICTURES:
        warnings.append(
            f"The smaller class has only {min(real, fake)} pictures: expect wide intervals, and check the mistakes."
        )
    if any(not real_count or not fake_count for real_count, fake_count in counts) and real and fake:
        warnings.append("A folder with only one class reveals it by size, format or source; the audit shows how much.")
    return warnings
