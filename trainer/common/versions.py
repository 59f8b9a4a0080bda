"""Origin of a run: library versions and the commit of the code."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy", "pillow", "onnx", "tf2onnx", "onnxruntime", "scikit-learn")


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the installed libraries that affect results."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def commit() -> str:
    """Return the commit of this checkout, with ``-dirty`` if it has changes; ``unknown`` outside a checkout."""
    try:
        # If the package is installed inside another project's checkout, this file is not tracked.
        _git("ls-files", "--error-unmatch", Path(__file__).name)
        return _git("describe", "--always", "--abbrev=40", "--dirty", "--exclude=*") or "unknown"
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(*arguments: str) -> str:
    result = subprocess.run(
        ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True
    )
    return result.stdout.strip()
