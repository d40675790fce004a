import argparse
import ast
import importlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator

import pytest

import grounded_cxr
from grounded_cxr.__main__ import COMMANDS, main
from tests.conftest import ROOT, tracked_files

MODULES = [f"{path.parent.name}.__main__" for path in sorted(ROOT.glob("*/__main__.py"))]


def parsers(
    parser: argparse.ArgumentParser, name: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """A parser and those of all verbs below it, each with its full name."""
    yield name or parser.prog, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, below in action.choices.items():
                yield from parsers(below, f"{name or parser.prog} {verb}")


PACKAGES = {
    parser.prog: parser
    for module in MODULES
    for parser in [importlib.import_module(module).parser()]
}
"""What is typed for a package: its parser."""

ALL_PARSERS = {
    name: parser
    for package, whole in PACKAGES.items()
    for name, parser in parsers(whole)
    if package != "grounded-cxr" or name == package
}


def test_every_package_with_a_command_is_walked() -> None:
    assert {f"{name}.__main__" for name in ("api", "generator", "grounded_cxr")} <= set(MODULES)
    assert len(ALL_PARSERS) > 25


@pytest.mark.parametrize("name", ALL_PARSERS)
def test_every_option_of_every_command_has_a_help_text(name: str) -> None:
    for action in ALL_PARSERS[name]._actions:
        if not isinstance(action, argparse._SubParsersAction):
            assert action.help, f"{name}: {action.option_strings or action.dest}"


@pytest.mark.parametrize("name", ALL_PARSERS)
def test_every_help_ends_with_examples_that_the_parser_takes(name: str) -> None:
    _, _, examples = ALL_PARSERS[name].format_help().partition("\nexamples:\n")
    assert examples.strip()
    package = next(prog for prog in PACKAGES if name.startswith(prog))
    for line in examples.strip().splitlines():
        assert line.strip().startswith(name), line
        words = shlex.split(line)[len(package.split()) :]
        if package == "grounded-cxr":
            assert words[0] in {*COMMANDS, "VERB"}
        else:
            PACKAGES[package].parse_args(words)


def test_every_argument_in_the_source_of_the_packages_is_declared_with_a_help_text() -> None:
    missing = []
    for path in tracked_files():
        if path.suffix != ".py" or path.relative_to(ROOT).parts[0] in ("tests", "bench", "results"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "add_argument"
                and isinstance(node.args[0], ast.Constant)  # a browser has add_argument as well
                and not any(keyword.arg == "help" for keyword in node.keywords)
            ):
                missing.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not missing


@pytest.mark.parametrize("verb", COMMANDS)
def test_each_verb_shows_the_help_of_the_package_under_its_own_name(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert shown.startswith(f"usage: grounded-cxr {verb}")
    assert re.search(rf"^examples:\n  grounded-cxr {verb} ", shown, re.MULTILINE)


def test_the_help_lists_the_verbs_and_says_research_use_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(re.search(rf"^ +{verb}\s", shown, re.MULTILINE) for verb in COMMANDS)
    assert "Research use only" in shown


@pytest.mark.parametrize("given", [[], ["reports"], ["--no-such"]])
def test_a_wrong_verb_is_refused_with_the_usage(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(given)
    assert ended.value.code == 2
    assert "usage: grounded-cxr" in capsys.readouterr().err


def test_the_exit_code_and_the_error_are_those_of_the_package(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["index", "info", "no/such/index"]) == 1
    assert "error: " in capsys.readouterr().err


def test_one_version_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"grounded-cxr {grounded_cxr.__version__}\n"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {
        "attr": "grounded_cxr.__version__"
    }
    assert f"\nversion: {grounded_cxr.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert project["project"]["scripts"] == {"grounded-cxr": "grounded_cxr.__main__:command"}


def test_the_console_command_also_runs_as_a_module_and_loads_no_large_library() -> None:
    code = (
        "import sys, runpy\n"
        "sys.argv = ['grounded_cxr', '--version']\n"
        "try:\n    runpy.run_module('grounded_cxr', run_name='__main__')\n"
        "except SystemExit as ended:\n    assert not ended.code\n"
        "large = {'torch', 'transformers', 'faiss', 'numpy', 'litestar'} & sys.modules.keys()\n"
        "assert not large, large\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("grounded-cxr ")


@pytest.mark.parametrize(("given", "wanted"), [(None, "passive"), ("active", "active")])
def test_waiting_threads_leave_the_processor_unless_told_otherwise(
    given: str | None, wanted: str
) -> None:
    code = (
        "import contextlib, os, sys; from grounded_cxr.__main__ import main\n"
        "assert 'torch' not in sys.modules\n"
        "with contextlib.suppress(SystemExit): main(['--version'])\n"
        "sys.stderr.write(os.environ['OMP_WAIT_POLICY'])"
    )
    kept = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment = kept if given is None else {**kept, "OMP_WAIT_POLICY": given}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stderr) == (0, wanted)
