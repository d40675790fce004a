"""What all tests share: where the files and the real data are, and that CI skips nothing."""

import gc
import inspect
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import settings

from db.engines.location import Location
from tests.support.databases import Located, PostgresServer, on_postgresql, running_server
from tests.support.warm_python import WarmPython

ROOT = Path(__file__).resolve().parent.parent


settings.register_profile("no deadline", deadline=None)  # other work on the machine is no failure
settings.load_profile("no deadline")


@pytest.fixture(scope="session", autouse=True)
def client_timeout() -> None:
    """Requests without a timeout of their own wait for a busy machine: httpx gives them 5 s."""
    timeout: httpx.Timeout = inspect.signature(httpx.get).parameters["timeout"].default
    timeout.connect = timeout.read = timeout.write = timeout.pool = 60.0


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of all processes of the session."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session", autouse=True)
def encoder_cache(shared_folder: Path) -> Iterator[None]:
    """Exported encoders are cached for the session, by all processes, outside the user's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GROUNDED_CXR_CACHE", str(shared_folder / "encoders"))
        yield


@pytest.fixture(scope="session")
def warm_python(shared_folder: Path) -> Iterator[WarmPython]:
    """Python commands that need not import the large libraries again."""
    with WarmPython(shared_folder) as python:
        yield python


@pytest.fixture(scope="session")
def postgresql_server(shared_folder: Path) -> Iterator[PostgresServer]:
    """One for all processes of the session; tests that need it are skipped without its package."""
    with running_server(shared_folder) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def located(request: pytest.FixtureRequest) -> Located:
    """Runs a test on both engines."""
    if request.param == "sqlite":
        return lambda path: path
    return on_postgresql(request.getfixturevalue("postgresql_server"))


@pytest.fixture
def each_engine(located: Located, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a test of the service on both engines."""
    monkeypatch.setattr("tests.support.service.services.LOCATED", located)


@pytest.fixture
def location(located: Located, tmp_path: Path) -> Location:
    """Where the application database of a test is, on both engines."""
    return located(tmp_path / "app.sqlite3")


def tracked_files() -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with ``openi`` and the other data sets; tests that need it are skipped without."""
    path = Path(os.environ.get("CXR_DATA", ROOT.parent / "shared" / "data"))
    if not (path / "openi" / "images").is_dir():
        pytest.skip(f"no data sets at {path}: set CXR_DATA")
    return path


LONGEST = (
    "tests/test_readme.py",
    "tests/test_api/limits/test_decoding.py",
    "tests/test_finetune/test_trainer.py",
    "tests/test_recipes/test_drawn_example.py",
    "tests/test_finetune/test_notebook.py",
    "tests/robustness/test_index_durability.py",
    "tests/test_api/service/test_language_writer.py",
    "tests/test_api/service/test_main.py",
    "tests/test_bench/test_bounds.py",
    "tests/test_indexer/reports/test_identifiers.py",
    "tests/robustness/test_personal_data.py",
    "tests/robustness/test_training_kills.py",
    "tests/robustness/test_kill.py",
    "tests/test_indexer/reports/test_sections.py",
    "tests/test_api/page/viewer/test_images.py",
    "tests/test_api/page/test_tour.py",
    "tests/test_api/page/test_page.py",
    "tests/test_api/page/test_failures.py",
    "tests/test_api/page/test_accessibility.py",
    "tests/test_finetune/examples/test_indexes.py",
    "tests/test_finetune/preferences/test_training.py",
    "tests/test_generator/test_grounding/test_citations.py",
    "tests/test_indexer/test_versions.py",
)
"""Files of tests that take longest, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that processes side by side end together."""
    places = {ROOT / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection() -> None:
    """What is imported stays: looking for garbage in it takes a third of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Garbage is looked for in what the tests make alone, and less often than usual."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report
