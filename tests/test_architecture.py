"""The shape of the project, read from its source."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MAY_IMPORT = {
    "db": {"db"},
    "indexer": {"db", "indexer"},
    "retriever": {"db", "indexer", "retriever"},
    "generator": {"db", "indexer", "retriever", "generator"},
    "finetune": {"db", "indexer", "retriever", "generator", "finetune"},
    "api": {"db", "indexer", "retriever", "generator", "api"},
}


def imported_packages(source: str) -> set[str]:
    """Top-level names that a module imports, at any depth of its code."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the package"
            names.add((node.module or "").split(".")[0])
    return names


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


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_package_init_holds_only_a_docstring(package: str) -> None:
    for init in (ROOT / package).rglob("__init__.py"):
        body = ast.parse(init.read_text()).body
        assert len(body) == 1 and ast.get_docstring(ast.parse(init.read_text())), init


@pytest.mark.parametrize(
    ("library", "allowed"), [("faiss", {"indexer/inverted_lists.py"}), ("sqlalchemy", {"db"})]
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


def tracked_files() -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]
