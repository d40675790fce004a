"""The shape of the project, read from its source."""

import ast
import sys
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from indexer.cli.parser import EXTRA_OF
from tests.conftest import ROOT, tracked_files

MAY_IMPORT = {
    "db": {"db"},
    "indexer": {"db", "indexer"},
    "retriever": {"db", "indexer", "retriever"},
    "generator": {"db", "indexer", "retriever", "generator"},
    "finetune": {"db", "indexer", "retriever", "generator", "finetune"},
    "api": {"db", "indexer", "retriever", "generator", "api"},
    "grounded_cxr": {"db", "indexer", "retriever", "generator", "finetune", "api", "grounded_cxr"},
}


def imported_names(source: str) -> set[str]:
    """Full names of what a module imports, at any depth of its code."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the package"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_packages(source: str) -> set[str]:
    return {name.split(".")[0] for name in imported_names(source)}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_no_package_imports_upward(package: str) -> None:
    modules = sorted((ROOT / package).rglob("*.py"))
    assert modules
    for module in modules:
        ours = imported_packages(module.read_text()) & MAY_IMPORT.keys()
        upward = ours - MAY_IMPORT[package]
        assert not upward, f"{module.relative_to(ROOT)} imports {sorted(upward)}"


def test_an_upward_import_is_seen_where_it_hides_in_a_function() -> None:
    assert "api" in imported_packages("def f():\n    from api.app import create_app\n")


def test_what_tests_share_is_in_no_test_module() -> None:
    for module in (ROOT / "tests").glob("*.py"):
        names = imported_names(module.read_text())
        assert not [name for name in names if name.startswith("tests.test_")], module.name


@pytest.mark.parametrize("package", [name for name in MAY_IMPORT if name != "grounded_cxr"])
def test_package_init_holds_only_a_docstring(package: str) -> None:
    for init in (ROOT / package).rglob("__init__.py"):
        body = ast.parse(init.read_text()).body
        assert len(body) == 1 and ast.get_docstring(ast.parse(init.read_text())), init


@pytest.mark.parametrize(
    ("library", "allowed"), [("faiss", {"indexer/vectors/ivf.py"}), ("sqlalchemy", {"db"})]
)
def test_storage_is_reached_through_one_place(library: str, allowed: set[str]) -> None:
    using = {
        module.relative_to(ROOT)
        for package in MAY_IMPORT
        for module in (ROOT / package).rglob("*.py")
        if library in imported_packages(module.read_text())
    }
    assert using
    assert all(str(path) in allowed or path.parts[0] in allowed for path in using), using


def test_every_library_comes_with_the_installation_or_with_a_named_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {"": [], **project["optional-dependencies"]}
    come = {
        extra: brought_along([*project["dependencies"], *extras[extra]])
        for extra in {"", *EXTRA_OF.values()}
    }
    providers = packages_distributions()
    for package in MAY_IMPORT:
        for module in (ROOT / package).rglob("*.py"):
            for name in imported_packages(module.read_text()) - MAY_IMPORT.keys():
                if name not in sys.stdlib_module_names and name != "unsloth":
                    brings = {canonicalize_name(one) for one in providers[name]}
                    found = brings & come[EXTRA_OF.get(name, "")]
                    assert found, f"{module.relative_to(ROOT)} imports {name}"


def brought_along(asked: Sequence[str]) -> set[str]:
    """Names of the packages that these requirements install here, with what those ask for."""
    known: set[str] = set()
    todo = list(asked)
    while todo:
        one = Requirement(todo.pop())
        name = canonicalize_name(one.name)
        if name in known or not (one.marker is None or one.marker.evaluate({"extra": ""})):
            continue
        known.add(name)
        with suppress(PackageNotFoundError):
            todo += distribution(name).requires or ()
    return known


def test_nothing_prints_but_the_command_line() -> None:
    for package in MAY_IMPORT:
        for module in (ROOT / package).rglob("*.py"):
            if module.name == "__main__.py":
                continue
            calls = [n for n in ast.walk(ast.parse(module.read_text())) if isinstance(n, ast.Call)]
            assert not any(isinstance(c.func, ast.Name) and c.func.id == "print" for c in calls), (
                f"{module} prints"
            )


def test_no_tracked_file_is_too_large() -> None:
    for path in tracked_files():
        assert path.stat().st_size < 45_000_000, f"{path} is above 45 MB"
    pretrained = [p for p in tracked_files() if "pretrained" in p.relative_to(ROOT).parts]
    assert sum(path.stat().st_size for path in pretrained) < 100_000_000
