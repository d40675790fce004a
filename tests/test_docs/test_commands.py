"""Every command of the documentation: understood by the real parser, and run where it is light."""

import importlib
import importlib.util
import re
import shlex
import shutil
from pathlib import Path

import pytest

from db.app.database import AppDatabase
from grounded_cxr.__main__ import COMMANDS, PROG
from grounded_cxr.__main__ import main as run_command
from indexer.sources.source_options import SOURCES
from retriever.search import Retriever
from tests.conftest import ROOT
from tests.support.fakes import ThumbnailEncoder
from tests.support.layouts import write_layouts
from tests.support.service.services import an_app

PAGES = {
    str(path.relative_to(ROOT / "docs")): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "docs").rglob("*.md"))
}


def commands(text: str) -> list[str]:
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    joined = "\n".join(blocks).replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip() and line[0] != "#"]


EVERY = [(page, command) for page, text in PAGES.items() for command in commands(text)]


def package_words(command: str) -> tuple[str, str, list[str]] | None:
    """Module, its name on the command line and the arguments; None for another program."""
    words = shlex.split(command, comments=True)
    if words[0] == PROG:
        verb = COMMANDS[words[1]]
        return (
            (verb.module, f"{PROG} {words[1]}", words[2:])
            if verb.verb is None
            else (verb.module, PROG, [verb.verb, *words[2:]])
        )
    if words[:2] == ["python", "-m"]:
        return f"{words[2]}.__main__", f"python -m {words[2]}", words[3:]
    return None


@pytest.mark.parametrize(("page", "command"), EVERY)
def test_every_command_is_understood_by_the_parser(page: str, command: str) -> None:
    found = package_words(command)
    if found is not None:
        module, prog, words = found
        importlib.import_module(module).parser(prog).parse_args(words)
    elif not command.startswith("curl "):
        script = ROOT / command.split()[0]
        assert script.is_file(), f"{page}: {command}"


def test_every_module_named_in_the_text_exists() -> None:
    for page, text in PAGES.items():
        for module in re.findall(r"`python -m ([\w.]+)", text):
            assert importlib.util.find_spec(module) is not None, f"{page}: {module}"
        for path in re.findall(
            r"`((?:api|bench|db|docs|finetune|generator|indexer|notebooks|"
            r"pretrained|results|retriever|scripts|tests)/[\w/.-]+)`",
            text,
        ):
            assert (ROOT / path).exists(), f"{page}: {path}"  # fmt: skip


def test_every_curl_line_asks_for_a_documented_endpoint(tmp_path: Path) -> None:
    paths = an_app(tmp_path).openapi_schema.paths
    assert paths
    lines = [command for _, command in EVERY if command.startswith("curl ")]
    assert lines
    for line in lines:
        [path] = re.findall(r"http://127\.0\.0\.1:8000(/[\w/-]*)", line)
        method = "post" if re.search(" -[Fd] ", line) else "get"
        pattern = path.replace("GENERATION", "{generation_id}").replace("CASE", "{key}")
        pattern = pattern.replace("images/1", "images/{number}")
        known = [one for name, one in paths.items() if name.split(":")[0].rstrip("}") in pattern]
        assert any(getattr(one, method) for one in known), line


def test_every_source_has_its_page() -> None:
    built = " ".join(text for page, text in PAGES.items() if page.startswith("own-data/"))
    for source in SOURCES:
        assert f"`{source}`" in built, source
        assert source == "openi" or f"--source {source} " in built, source


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn data of every source, two indexes and an application database."""
    folder = tmp_path_factory.mktemp("desk")
    write_layouts(folder)
    with pytest.MonkeyPatch.context() as patch:
        prepare(patch, folder)
        for name, source in (("mine", "local"), ("index", "ward")):
            options = f"--source jsonl --data-dir studies.jsonl --name {source} --out data/{name}"
            assert run_command(["index", "build", *options.split()]) == 0
        AppDatabase.open(Path("data/app.sqlite3")).close()
    return folder


def prepare(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Run in ``folder``, with an encoder that needs no weights."""
    patch.chdir(folder)
    for module in ("indexer.cli.verbs.opening", "retriever.search"):
        patch.setattr(f"{module}.load_encoder", lambda name, **_: ThumbnailEncoder())


EXAMPLE = "postgresql+psycopg://cxr@db.example/cxr"
"""A real database takes its place."""
LIGHT = re.compile(
    rf"{PROG} (db|index (?!.*--engine ray)|search (?!.*--text))"
    r"|python -m api (keys|audit|backup|restore)"
)


@pytest.mark.parametrize("page", [p for p, text in PAGES.items() if LIGHT.search(text)])
def test_the_light_commands_of_a_page_run_one_after_the_other(
    page: str, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    desk = tmp_path / "desk"
    shutil.copytree(drawn, desk)
    prepare(monkeypatch, desk)
    ran = 0
    text = PAGES[page]
    if EXAMPLE in text:
        url = request.getfixturevalue("postgresql_server").empty()
        text = text.replace(EXAMPLE, url.render_as_string(hide_password=False))
    for command in commands(text):
        found = package_words(command)
        if found is not None and LIGHT.match(command):
            module, prog, words = found
            code = importlib.import_module(module).main(words, prog=prog)
            assert code == 0, f"{command}\n{capsys.readouterr()}"
            ran += 1
    assert ran or "bash" not in PAGES[page]
    if page.startswith("own-data/"):
        built = [Path(out) for out in re.findall(r"--out (data/(?!audit)\S+)", PAGES[page])]
        assert built
        for index in built:
            assert Retriever.open(index, ThumbnailEncoder()).index.manifest.studies > 0
