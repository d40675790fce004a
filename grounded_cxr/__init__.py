"""Chest X-ray reports in which every sentence cites the prior cases it rests on.

    from grounded_cxr import Retriever, load_generator

    retriever = Retriever.open("data/index")
    report = load_generator().report(retriever, ["pa.png", "lateral.png"])
    print(report)

Research use only, not for clinical use. Importing the package is cheap: torch and the other large
libraries are loaded when they are first needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grounded_cxr.generators import Generator, load_generator
    from grounded_cxr.report import Report
    from retriever.search import Retriever

__version__ = "0.2.0"
__all__ = ["Generator", "Report", "Retriever", "__version__", "load_generator"]

_HOMES = {
    "Generator": "grounded_cxr.generators",
    "Report": "grounded_cxr.report",
    "Retriever": "retriever.search",
    "load_generator": "grounded_cxr.generators",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'grounded_cxr' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
