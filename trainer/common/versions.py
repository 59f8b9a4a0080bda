"""Where a run came from: library versions and the commit of the code."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy", "pillow", "onnx", "tf2onnx", "onnxruntime", "scikit-learn")


def library_versions() -> dict[str, str]:
    """Return versions of Python and of the libraries that decide a result, where installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """Return the commit of this checkout, ``-dirty`` where it has changes; ``unknown`` elsewhere."""
    try:
        # Installed inside some other project's checkout, this file is there but not tracked.
        _git("ls-files", "--error-unmatch", Path(__file__).name)
        return _git("describe", "--always", "--abbrev=40", "--dirty", "--exclude=*") or "unknown"
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(*arguments: str) -> str:
    result = subprocess.run(
        ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True
    )
    return result.stdout.strip()
