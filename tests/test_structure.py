"""The house keeps its rooms: unique names, packages that say what they are for, tests where they are looked for."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

SOURCES = [path for top in ("service", "trainer") for path in sorted((REPOSITORY / top).rglob("*.py"))]
PACKAGES = [path for path in SOURCES if path.name == "__init__.py" and path.parent.parent != REPOSITORY]
TESTS = sorted((REPOSITORY / "tests").rglob("*.py"))
# Names that say nothing. A part is a term of splits and of multipart bodies.
EMPTY_NAMES = {"found", "one", "other", "others", "each", "more", "place", "given"}
MAX_TEST_NAME = 60
# Trainer and service have errors of their own.
SHARED_NAMES = {"__init__.py", "__main__.py", "errors.py"}
MAX_LINES_WITHOUT_TESTS = 60
# Tested with the code that uses them.
TESTED_ELSEWHERE = {
    "service/api/video_responses": "service/video/test_score_video",
    "service/api/video_schemas": "service/video/test_score_video",
    "trainer/cli/fit_arguments": "trainer/cli/test_fit_command",
}


def test_no_module_name_stands_twice():
    """A name that two modules share sends readers to the wrong file."""
    names = Counter(path.name for path in SOURCES)
    assert {name for name, count in names.items() if count > 1} <= SHARED_NAMES


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: str(path.parent.relative_to(REPOSITORY)))
def test_package_says_what_enters_leaves_and_is_imported(path):
    """The docstring of a package is the sign on its door."""
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    for words in ("In: ", "Out: ", "May import: "):
        assert words in docstring


def test_top_level_holds_packages_and_few_modules():
    """What belongs to a stage belongs into its package."""
    allowed = {
        "service": {
            "__init__", "__main__", "app", "client", "errors", "limits", "model_settings", "resources", "settings",
        },
        "trainer": {"__init__", "__main__"},
    }  # fmt: skip
    for top, names in allowed.items():
        assert {path.stem for path in (REPOSITORY / top).glob("*.py")} == names


@pytest.mark.parametrize("top", ["service", "trainer"])
def test_tests_mirror_the_packages(top):
    """A test file of a module lies where its module does."""
    modules = {path.relative_to(REPOSITORY).with_suffix("") for path in SOURCES}
    strays = [
        path.relative_to(REPOSITORY)
        for path in (REPOSITORY / "tests" / top).rglob("test_*.py")
        if path.parent != REPOSITORY / "tests" / top
        and path.parent.name not in ("hostile",)
        and (Path(top) / path.parent.relative_to(REPOSITORY / "tests" / top) / path.stem.removeprefix("test_"))
        not in modules
    ]
    assert {stray.stem for stray in strays} <= {"test_nginx", "test_uvicorn", "test_properties", "test_decode_golden"}


def test_tests_of_a_module_are_found_by_its_name():
    """Who changes a module looks for the tests of its name; a short one may be tested with what uses it."""
    for path in SOURCES:
        lines = len(path.read_text("utf-8").splitlines())
        if path.name == "__init__.py" or lines <= MAX_LINES_WITHOUT_TESTS:
            continue
        module = path.relative_to(REPOSITORY).with_suffix("")
        own = module.with_name("test_" + module.name.strip("_"))
        tests = REPOSITORY / "tests" / f"{TESTED_ELSEWHERE.get(str(module), own)}.py"
        assert tests.is_file(), f"{module} has {lines} lines and no {tests.relative_to(REPOSITORY)}"


def test_variables_are_named_by_what_they_hold():
    """A pronoun makes the reader look for its noun, and a long test name is not read."""
    for path in SOURCES + TESTS:
        nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
        names = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        names |= {node.arg for node in nodes if isinstance(node, ast.arg)}
        names |= {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
        assert not names & EMPTY_NAMES, path
        tests = [
            n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name[:5] == "test_"
        ]
        assert not [name for name in tests if len(name) > MAX_TEST_NAME], path


def test_glossary_terms_are_those_of_the_code():
    """A glossary that the code does not use teaches a second language."""
    text = (REPOSITORY / "docs" / "how-it-works.md").read_text("utf-8")
    rows = re.findall(r"^\| ([a-z -]+) \| [^|]+ \| `(\w+)` \|$", text[text.index("## Glossary") :], re.M)
    assert 20 <= len(rows) <= 25
    code = "\n".join(path.read_text("utf-8") for path in SOURCES)
    for term, name in rows:
        assert re.search(rf"\b{name}\b", code), term
