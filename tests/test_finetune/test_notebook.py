import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from tests.conftest import ROOT
from tests.support.models.training import SETTINGS, tiny_base, write_pack

NOTEBOOK = ROOT / "notebooks/finetune.ipynb"


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelManager]:
    """The process that runs the cells, also of one notebook after the other, as a person does."""
    manager = KernelManager()
    manager.start_kernel(cwd=str(ROOT))
    yield manager
    manager.shutdown_kernel(now=True)


def executed(notebook: Any, kernel: KernelManager) -> str:
    """The cells and all that they have printed."""
    client = NotebookClient(notebook, km=kernel, timeout=300)
    client.execute()
    client.kc.stop_channels()
    return json.dumps(notebook.cells)


def test_the_notebook_trains_an_adapter_with_a_tiny_model(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, kernel: KernelManager
) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    parameters = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    given = {
        "BASE": str(tiny_base(tmp_path_factory)),
        "DATA": f"--examples {write_pack(tmp_path / 'pack')}",
        "OUT": str(tmp_path / "adapter"),
        "MORE": f"--device cpu --set {' '.join(SETTINGS)} max_steps=2",
    }
    parameters.source = "\n".join(f"{name} = {value!r}" for name, value in given.items())
    text = executed(notebook, kernel)
    assert "memory: about" in text and "validation loss" in text and "Research use only" in text
    assert "image/png" in text
    assert (tmp_path / "adapter/adapter_model.safetensors").is_file()


def test_the_notebook_draws_its_own_data_and_runs_twice_in_a_row(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, kernel: KernelManager
) -> None:
    adapter = tmp_path / "adapter"
    weights = []
    for _ in range(2):
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        parameters = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
        parameters.source += (
            f"\nBASE, OUT = {str(tiny_base(tmp_path_factory))!r}, {str(adapter)!r}"
            f"\nMORE = '--device cpu --set {' '.join(SETTINGS)} max_steps=3'"
        )
        [drawing] = [c for c in notebook.cells if "--studies 40 --side 256" in c.source]
        drawing.source = drawing.source.replace("40", "12").replace("256", "96")  # takes a third
        text = executed(notebook, kernel)
        assert "12 drawn studies" in text and "image/png" in text and "step 3, validation" in text
        assert "3 of 3 steps done" in text and "Error" not in text
        weights.append((adapter / "adapter_model.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_the_notebook_holds_no_output_and_calls_commands_alone() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        assert not cell.get("outputs") and not cell.get("execution_count")
        if "finetune" in cell.source and cell.cell_type == "code":
            assert cell.source.startswith("%run -m finetune ")
