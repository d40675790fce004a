"""Every script of ``bench/`` starts, and says what it measures and which command runs it."""

import ast
import importlib
import sys

import pytest

from tests.conftest import ROOT


def scripts() -> list[str]:
    """Names of the modules of ``bench/`` that can be run, as ``python -m`` takes them."""
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
        for path in sorted((ROOT / "bench").rglob("*.py"))
        if "\nif __name__ == " in path.read_text(encoding="utf-8")
    ]


def docstring_of(script: str) -> str:
    path = ROOT.joinpath(*script.split("."))
    path = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def test_all_scripts_are_found() -> None:
    assert {"bench.vqa_rad", "bench.training.speed", "bench.index.labeller"} <= set(scripts())


@pytest.mark.parametrize("script", scripts())
def test_a_docstring_names_the_measure_and_then_the_command(script: str) -> None:
    first, blank, command, *_ = docstring_of(script).splitlines()
    assert first.endswith(".") and not blank
    assert command.split()[:3] == ["python", "-m", script]


@pytest.mark.parametrize("script", scripts())
def test_help_says_what_is_measured(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = (ROOT.joinpath(*script.split("."))).is_dir()
    module = importlib.import_module(f"{script}.__main__" if package else script)
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    with pytest.raises(SystemExit) as left:
        module.main()
    assert left.value.code == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert docstring_of(script).splitlines()[0] in printed
