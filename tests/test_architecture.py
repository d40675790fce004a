"""The shape of the project, read from its source."""

import ast
import re
import sys
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from setuptools import find_namespace_packages

from db.extras import EXTRA_OF
from generator.vision_language import DEFAULT_MODEL
from indexer.encoder.spec import DEFAULT_ENCODER
from tests.conftest import ROOT, tracked_files
from tests.support.source_rules import (
    MAY_IMPORT,
    crowded_folders,
    doubled_classes,
    foreign_names,
    imported_names,
    imported_packages,
    more_than_a_docstring,
    parsed,
    posix_imports,
    upward_imports,
)


def sources(*packages: str) -> dict[str, str]:
    """The modules of these packages, by path from the root."""
    found = {
        module.relative_to(ROOT).as_posix(): module.read_text(encoding="utf-8")
        for package in packages
        for module in sorted((ROOT / package).rglob("*.py"))
    }
    assert found
    return found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_no_package_imports_upward(package: str) -> None:
    upward = {path: upward_imports(package, source) for path, source in sources(package).items()}
    assert not {path: found for path, found in upward.items() if found}


def test_an_upward_import_is_found_inside_a_function() -> None:
    hidden = "def f():\n    from api.app import create_app\n"
    assert upward_imports("db", hidden) == {"api"} and not upward_imports("api", hidden)


def test_every_module_can_be_imported_without_posix() -> None:
    found = {path: posix_imports(source) for path, source in sources(*MAY_IMPORT).items()}
    assert not {path: names for path, names in found.items() if names}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import fcntl", {"fcntl"}),
        ("from resource import getrusage", {"resource"}),
        ("try:\n    import fcntl, os\nexcept ImportError:\n    fcntl = None", {"fcntl"}),
        ("class A:\n    import resource", {"resource"}),
        ("def f():\n    import resource", set()),
        ("import resources", set()),
    ],
)
def test_an_import_of_posix_is_found_outside_functions(source: str, found: set[str]) -> None:
    assert posix_imports(source) == found


def test_only_bench_scripts_and_tests_may_import_any_package() -> None:
    for package in ("bench", "results"):
        for path, source in sources(package).items():
            shared = {name for name in imported_names(source) if name.startswith("tests.")}
            assert all(name.startswith("tests.robustness.") for name in shared), path


def test_test_modules_import_no_test_module() -> None:
    for path, source in sources("tests").items():
        names = imported_names(source)
        assert not [name for name in names if re.search(r"\.test_\w+\.test_", name)], path


def test_no_folder_is_crowded() -> None:
    assert not crowded_folders(sources(*MAY_IMPORT, "bench", "tests"))


def test_a_crowded_folder_is_found() -> None:
    folders = ("a", "a/b", "a/sources")
    modules = [f"{folder}/m{number}.py" for folder in folders for number in range(15)]
    assert crowded_folders([*modules[1:], "a/__init__.py"]) == {"a/b": 15}


def test_no_two_classes_share_a_name() -> None:
    assert not doubled_classes(sources(*MAY_IMPORT))


def test_two_classes_of_one_name_are_found() -> None:
    one, other = "class Hit: ...\nclass _Row: ...\n", "class Hit: ...\nclass _Row: ...\n"
    assert doubled_classes({"a.py": one, "b.py": other}) == {"Hit": ["a.py", "b.py"]}


def test_public_names_have_no_foreign_word() -> None:
    found = {path: foreign_names(path, source) for path, source in sources(*MAY_IMPORT).items()}
    assert not {path: names for path, names in found.items() if names}


@pytest.mark.parametrize(
    "source",
    [
        *("def read_film(): ...", "class FilmReader: ...", "def f(film): ...", "FILM = 1"),
        *("def f(*, blind=False): ...", "class A:\n    def towers(self): ..."),
        *("class A:\n    film: int", "class A:\n    def f(self, verdict): ..."),
    ],
)
def test_a_foreign_word_is_found_wherever_a_public_name_has_it(source: str) -> None:
    assert len(foreign_names("a/b.py", source)) == 1
    assert foreign_names("api/film_page.py", "") == {"film_page"}


def test_private_names_and_parts_of_words_are_not_foreign() -> None:
    source = "def _film(): ...\ndef f(filmed, borders, tower): ...\nclass Stone: ...\n"
    assert not foreign_names("a/milestone.py", source)


def test_init_files_hold_only_a_docstring() -> None:
    packages = [package for package in MAY_IMPORT if package != "grounded_cxr"]
    inits = {p: s for p, s in sources(*packages).items() if p.endswith("/__init__.py")}
    assert not [path for path, source in inits.items() if more_than_a_docstring(source)]


def test_code_in_an_init_file_is_found() -> None:
    assert more_than_a_docstring("") and more_than_a_docstring('"""A."""\nX = 1')
    assert not more_than_a_docstring('"""A."""\n')


@pytest.mark.parametrize(
    ("library", "allowed"), [("faiss", {"indexer/vectors"}), ("sqlalchemy", {"db"})]
)
def test_storage_is_reached_through_one_place(library: str, allowed: set[str]) -> None:
    using = {
        module.relative_to(ROOT)
        for package in MAY_IMPORT
        for module in (ROOT / package).rglob("*.py")
        if library in imported_packages(module.read_text())
    }
    assert using
    outside = [path for path in using if not {str(one) for one in path.parents} & allowed]
    assert not outside


def test_every_library_comes_with_the_installation_or_with_a_named_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {"": [], **project["optional-dependencies"]}
    come = {
        extra: brought_along([*project["dependencies"], *extras[extra]])
        for extra in {"", *EXTRA_OF.values()}
    }
    providers = packages_distributions()
    for package in MAY_IMPORT.keys() - {"recipes"}:
        for module in (ROOT / package).rglob("*.py"):
            for name in imported_packages(module.read_text()) - MAY_IMPORT.keys():
                if name not in {*sys.stdlib_module_names, "unsloth", "ray", "triton", "cuda"}:
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
            if module.name == "__main__.py" or module.parent == ROOT / "api" / "cli":
                continue
            calls = [n for n in ast.walk(parsed(module.read_text())) if isinstance(n, ast.Call)]
            assert not any(isinstance(c.func, ast.Name) and c.func.id == "print" for c in calls), (
                f"{module} prints"
            )


def test_no_tracked_file_is_too_large() -> None:
    for path in tracked_files():
        assert path.stat().st_size < 45_000_000, f"{path} is above 45 MB"
    pretrained = [p for p in tracked_files() if "pretrained" in p.relative_to(ROOT).parts]
    assert sum(path.stat().st_size for path in pretrained) < 100_000_000


def test_every_folder_with_modules_is_installed() -> None:
    """Not only from a checkout, where all are found anyway."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        found = tomllib.load(file)["tool"]["setuptools"]["packages"]["find"]
    installed = set(find_namespace_packages(str(ROOT), include=found["include"]))
    folders = {
        ".".join(path.relative_to(ROOT).parent.parts)
        for path in tracked_files()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in MAY_IMPORT
    }
    assert len(folders) > 50
    assert folders - installed == set()


def test_the_shipped_encoder_and_model_are_installed() -> None:
    """A command that is run from another folder than a checkout looks for them beside the code."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        settings = tomllib.load(file)["tool"]["setuptools"]
    packages = find_namespace_packages(str(ROOT), include=settings["packages"]["find"]["include"])
    installed = {
        path
        for package, patterns in settings["package-data"].items()
        if package in packages
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")).glob(pattern)
    }
    shipped = {
        path
        for path in tracked_files()
        if path.relative_to(ROOT).parts[:2]
        in {("pretrained", "encoder"), ("pretrained", "generator")}
    }
    assert {DEFAULT_ENCODER, DEFAULT_MODEL} == {"pretrained/encoder", "pretrained/generator"}
    assert len(shipped) > 15 and shipped <= installed
