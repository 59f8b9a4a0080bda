"""``trainer audit``."""

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.arguments import Data, FaceMarginOption, FramingOption, Groups
from trainer.common.errors import TrainerError
from trainer.common.files import new_folder, refuse_existing
from trainer.common.progress import console
from trainer.recipes.recipe import get_recipe
from trainer.report.printing import print_left_out, print_table


def audit(
    data: Data,
    report: Annotated[
        Path | None, typer.Option(help="Folder to create for audit.json and audit.html.", metavar="DIR")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Also score the pictures after the preprocessing of this recipe, without and with its weights."
        ),
    ] = None,
    framing: FramingOption = None,
    face_margin: FaceMarginOption = None,
    groups: Groups = "listed",
) -> None:
    """Report what reveals the class besides the faces: duplicates, formats, sizes, and the shortcut score."""
    from trainer.audit.after_preprocessing import score_after_preprocessing
    from trainer.audit.audit import audit as run_audit
    from trainer.data.dataset import scan
    from trainer.data.face_framing import with_faces
    from trainer.data.groups import grouped
    from trainer.report.audit_page import audit_tables, write_audit

    selected_recipe = get_recipe(recipe, framing=framing, face_margin=face_margin) if recipe else None
    if not selected_recipe and (framing or face_margin):
        raise TrainerError(
            "--framing and --face-margin change the preprocessing of a recipe: name the recipe with --recipe"
        )
    refuse_existing(report)
    dataset = grouped(scan(data, one_class=True), groups)
    print_left_out(dataset)
    result = run_audit(dataset)
    for table in audit_tables(result):
        print_table(table)
    for sentence in result.findings:
        print(f"- {sentence}")
    after_preprocessing = None
    if selected_recipe:
        try:
            samples = with_faces(dataset, selected_recipe).samples
            after_preprocessing = score_after_preprocessing(samples, selected_recipe)
            print(f"- {after_preprocessing['sentence']}")
        except TrainerError as error:  # a class without any face is a result too, and must not prevent the report
            print(f"- {error}")
    if report:
        with new_folder(report) as folder:
            write_audit(result, dataset, folder / "audit.json", folder / "audit.html", after_preprocessing)
        console.print(f"written: {report}")
