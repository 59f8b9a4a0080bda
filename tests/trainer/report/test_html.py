"""Pages and numbers of reports: escaped, self-contained, and dashes for what is not there."""

import base64
import io
from types import SimpleNamespace

import pytest
from jinja2 import UndefinedError
from matplotlib.figure import Figure
from PIL import Image

from trainer.report.html import figure3, percent, svg, thumbnails, write_page


@pytest.mark.parametrize(
    ("value", "texts"),
    [(0.12345, ("12.3 %", "0.123")), (1.0, ("100.0 %", "1.000")), (0.0, ("0.0 %", "0.000")), (None, ("–", "–"))],
)
def test_numbers_have_their_digits_or_a_dash(value, texts):
    """A metric that does not exist is a dash and not a zero."""
    assert (percent(value), figure3(value)) == texts


def test_svg_of_equal_plots_is_equal_and_shares_no_ids():
    """Pages that are written twice are equal, and several plots fit on one page."""

    def plot() -> Figure:
        figure = Figure(label="plot")
        figure.subplots().plot([1, 2], [3, 4])
        return figure

    first, second = svg(plot()), svg(plot())
    assert first == second
    assert first.startswith("<svg")
    assert 'id="line2d_1"' not in first


def test_thumbnails_are_data_uris_or_empty(faces, tmp_path):
    """A file that has gone since the scan has no thumbnail, and the page is still made."""
    path = next((faces / "real").iterdir())
    uri, gone = thumbnails([SimpleNamespace(path=path), SimpleNamespace(path=tmp_path / "gone.jpg")])
    kind, _, encoded = uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        assert max(picture.size) == 112
    assert gone == ""


def test_page_without_a_value_is_refused_and_not_written(tmp_path):
    """A template whose values are incomplete would leave holes in the page."""
    with pytest.raises(UndefinedError):
        write_page(tmp_path / "page.html", "audit.html")
    assert list(tmp_path.iterdir()) == []
