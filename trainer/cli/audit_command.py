"""``trainer audit``."""

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.arguments import GROUPS_HELP, Data, FaceMarginOption, FramingOption, GroupChoice
from trainer.common.errors import TrainerError
from trainer.common.files import refuse_existing
from trainer.common.progress import console
from trainer.recipes.recipe import get_recipe
from trainer.report.printing import print_left_out, print_table


def audit(
    data: Data,
    report: Annotated[
        Path | None, typer.Option(help="Folder to create, with audit.json and audit.html.", metavar="DIR")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Score again what this recipe's preprocessing leaves, and its weights.")
    ] = None,
    framing: FramingOption = None,
    face_margin: FaceMarginOption = None,
    groups: Annotated[GroupChoice, typer.Option(help=GROUPS_HELP)] = GroupChoice.LISTED,
) -> None:
    """Say what gives real and fake away besides the faces: duplicates, formats, sizes, and the shortcut score."""
    from trainer.audit.after_preprocessing import score_after_preprocessing
    from trainer.audit.audit import audit as run_audit
    from trainer.common.files import new_folder
    from trainer.data.dataset import scan
    from trainer.data.face_framing import with_faces
    from trainer.data.groups import grouped
    from trainer.report.audit_page import audit_tables, write_audit

    chosen = get_recipe(recipe, framing=framing, face_margin=face_margin) if recipe else None
    if not chosen and (framing or face_margin):
        raise TrainerError("--framing and --face-margin say what a recipe does to pictures: name one with --recipe")
    refuse_existing(report)
    dataset = grouped(scan(data, one_class=True), groups.value)
    print_left_out(dataset)
    found = run_audit(dataset)
    for table in audit_tables(found):
        print_table(table)
    for sentence in found.findings:
        print(f"- {sentence}")
    left = None
    if chosen:
        try:
            left = score_after_preprocessing(with_faces(dataset, chosen).samples, chosen)
            print(f"- {left['sentence']}")
        except TrainerError as error:  # a class without a face is a finding, and the report is still wanted
            print(f"- {error}")
    if report:
        with new_folder(report) as folder:
            write_audit(found, dataset, folder / "audit.json", folder / "audit.html", left)
        console.print(f"written: {report}")
