"""Self-contained HTML pages: each is a single file that works offline."""

import base64
import io
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib as mpl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from service.contract.bounded_read import read_bounded
from service.contract.image.decode import decode
from trainer.common.files import atomic_path
from trainer.data.dataset import SCAN_LIMITS, Sample

_THUMBNAIL_SIDE = 112
_THREADS = 4


def percent(value: float | None, digits: int = 1) -> str:
    """Format a share as a percentage; a dash for None."""
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def figure3(value: float | None) -> str:
    """Format a value between 0 and 1 with three decimals; a dash for None."""
    return "–" if value is None else f"{value:.3f}"


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(percent=percent, figure3=figure3)


_TEXT_ENVIRONMENT = _ENVIRONMENT.overlay(autoescape=False)


def write_page(path: Path, template: str, **values: Any) -> None:
    """Render an HTML template of ``trainer/report/templates`` and write it atomically."""
    _write(path, _ENVIRONMENT.get_template(template).render(**values))


def write_text(path: Path, template: str, **values: Any) -> None:
    """Render a template without HTML escaping, such as Markdown, and write it atomically."""
    _write(path, _TEXT_ENVIRONMENT.get_template(template).render(**values))


def _write(path: Path, content: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(content, encoding="utf-8", errors="replace")  # a file name may not be valid UTF-8


def svg(figure: Figure) -> Markup:
    """Return a plot as inline SVG; only hashed ids are kept, so that several plots can share one page."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": str(figure.get_label() or id(figure))}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    drawing = buffer.getvalue()
    drawing = re.sub(r' id="[A-Za-z0-9]+_\d+"', "", drawing[drawing.index("<svg") :])
    return Markup(drawing)  # noqa: S704 -- matplotlib escapes its own text


def thumbnails(samples: Sequence[Sample]) -> list[str]:
    """Return thumbnails as data URIs, in order; an empty string for a file that can no longer be read."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(lambda sample: _thumbnail(sample.path), samples))


def _thumbnail(path: Path) -> str:
    try:
        rgb = decode(read_bounded(path, SCAN_LIMITS.max_bytes), SCAN_LIMITS, "apply").rgb
    except (OSError, ValueError):
        return ""
    rgb.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    rgb.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
