"""Rules of the project's source, each a function of its text that returns what breaks the rule."""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import PurePosixPath

MAY_IMPORT = {
    "db": {"db"},
    "indexer": {"db", "indexer"},
    "retriever": {"db", "indexer", "retriever"},
    "generator": {"db", "indexer", "retriever", "generator"},
    "evaluation": {"db", "indexer", "retriever", "generator", "evaluation"},
    "finetune": {"db", "indexer", "retriever", "generator", "evaluation", "finetune"},
    "api": {"db", "indexer", "retriever", "generator", "api"},
    "recipes": {"db", "indexer", "retriever", "generator", "evaluation", "finetune", "recipes"},
    "grounded_cxr": {
        *("db", "indexer", "retriever", "generator", "evaluation", "finetune", "api"),
        "grounded_cxr",
    },
}
"""Every package of the product, with those that it may import."""

MODULES = 14
"""Modules of one folder, at most, its ``__init__.py`` apart."""

LONG_FOLDERS = ("sources", "routes")
"""Folders that hold one module for each dataset or resource."""

POSIX_ONLY = frozenset({"fcntl", "resource"})
"""Modules that Windows lacks, so that only functions may import them."""

FOREIGN_WORDS = frozenset(
    "film verdict copies tone traces towers heard blind patience orders".split()
)
"""Words that are not the field's, so that no public name has them (as whole words)."""


@cache
def parsed(source: str) -> ast.Module:
    """The tree of a module, which several rules read."""
    return ast.parse(source)


@cache
def imported_names(source: str) -> set[str]:
    """Full names of what a module imports, at any depth of its code."""
    names = set()
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the package"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_packages(source: str) -> set[str]:
    return {name.split(".")[0] for name in imported_names(source)}


def posix_imports(source: str) -> set[str]:
    """Modules of `POSIX_ONLY` that are imported as soon as this one is, not inside a function."""
    nodes: list[ast.AST] = [parsed(source)]
    found = set()
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            nodes += ast.iter_child_nodes(node)
    return found & POSIX_ONLY


def upward_imports(package: str, source: str) -> set[str]:
    """Packages of the product that a module of ``package`` imports and may not."""
    return (imported_packages(source) & MAY_IMPORT.keys()) - MAY_IMPORT[package]


def crowded_folders(paths: Iterable[str]) -> dict[str, int]:
    """Folders with too many modules, and how many they have."""
    modules = [PurePosixPath(path) for path in paths]
    counts = Counter(str(one.parent) for one in modules if one.name != "__init__.py")
    return {
        folder: count
        for folder, count in counts.items()
        if count > MODULES and PurePosixPath(folder).name not in LONG_FOLDERS
    }


def doubled_classes(sources: Mapping[str, str]) -> dict[str, list[str]]:
    """Public classes of one name, and the modules that define them; ``sources`` by path."""
    places = defaultdict(list)
    for path, source in sources.items():
        for node in parsed(source).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(path)
    return {name: found for name, found in places.items() if len(found) > 1}


def foreign_names(path: str, source: str) -> set[str]:
    """Public names of a module, its own included, that have one of `FOREIGN_WORDS`."""
    names = {*PurePosixPath(path).with_suffix("").parts, *public_names(parsed(source))}
    return {name for name in names if FOREIGN_WORDS & set(words_of(name))}


def public_names(node: ast.AST) -> Iterator[str]:
    """Functions, classes, methods, their parameters, and fields; none that begins with ``_``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            if not child.name.startswith("_"):
                yield child.name
                arguments = child.args
                for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                    yield one.arg
        elif isinstance(child, ast.ClassDef):
            if not child.name.startswith("_"):
                yield child.name
                yield from public_names(child)
        elif isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name):
            if not child.target.id.startswith("_"):
                yield child.target.id
        elif isinstance(child, ast.Assign):
            for target in child.targets:
                if isinstance(target, ast.Name) and not target.id.startswith("_"):
                    yield target.id


def words_of(name: str) -> list[str]:
    """``FilmReader`` and ``film_reader`` have the same words."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def more_than_a_docstring(source: str) -> bool:
    """Whether an ``__init__.py`` holds code, or no docstring."""
    tree = parsed(source)
    return ast.get_docstring(tree) is None or len(tree.body) > 1
