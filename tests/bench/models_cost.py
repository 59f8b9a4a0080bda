"""What one face costs on one core, the committed models in turn, against the default."""

from service.model_settings import default_model
from tests.bench.timing import Row, print_table
from tests.conftest import REPOSITORY
from trainer.evaluation.cost import costs


def main() -> None:
    """Time every committed model in one run, without decoding."""
    default = default_model()
    paths = sorted(path for path in (REPOSITORY / "models").rglob("model*.onnx") if path != default)
    base, *other_costs = costs([path.read_bytes() for path in (default, *paths)])
    rows = [
        Row(
            f"{path.parent.parent.name} {path.parent.name}, {cost.megabytes:.1f} MB",
            cost.milliseconds,
            base.milliseconds,
        )
        for path, cost in zip(paths, other_costs, strict=True)
    ]
    name = f"{default.parent.parent.name} {default.parent.name}, {base.megabytes:.1f} MB"
    print_table("one face on one core, median ms", ("this one", name), rows)
