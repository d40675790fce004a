"""Which generator a server uses, and what it says of that at its start."""

import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from api.cli import serve as command
from api.pipeline import backends
from api.pipeline.backends import (
    BACKENDS,
    BackendOptions,
    ExtractiveBackend,
    open_backend,
)
from db.errors import MismatchError, UserError
from generator.vision_language import (
    default_model,
)


def test_the_shipped_model_is_the_default_where_its_weights_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert default_model() == "pretrained/generator"
    monkeypatch.setattr("generator.vision_language.local_folder", lambda name: tmp_path)
    assert default_model() == "none"
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "torch", None)
    assert default_model() == "none"


def test_a_backend_is_opened_by_the_name_of_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    retriever: Any = object()
    opened: list[tuple[object, BackendOptions]] = []

    def open_fake(retriever: Any, options: BackendOptions) -> ExtractiveBackend:
        opened.append((retriever, options))
        return ExtractiveBackend()

    monkeypatch.setattr(backends, "BACKENDS", {**BACKENDS, "language model": open_fake})
    assert isinstance(open_backend(retriever, BackendOptions()), ExtractiveBackend)
    assert opened == []
    options = BackendOptions(model="some/model", adapter="some/adapter")
    open_backend(retriever, options)
    assert opened == [(retriever, options)]
    with pytest.raises(UserError, match="--model"):
        BackendOptions(adapter="some/adapter")


def test_a_default_model_that_does_not_fit_the_index_falls_back_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(retriever: Any, options: BackendOptions) -> ExtractiveBackend:
        raise MismatchError("the adapter was trained with another encoder")

    monkeypatch.setattr(backends, "BACKENDS", {**BACKENDS, "language model": refuse})
    options = BackendOptions(model="pretrained/generator")
    retriever: Any = object()
    with caplog.at_level(logging.WARNING):
        backend = command._open_backend(retriever, options, may_fall_back=True)
    assert isinstance(backend, ExtractiveBackend)
    assert "another encoder" in caplog.text and "extractive" in caplog.text
    with pytest.raises(MismatchError):
        command._open_backend(retriever, options, may_fall_back=False)


def test_missing_weights_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    retriever: Any = object()
    monkeypatch.setattr("generator.vision_language.local_folder", lambda name: tmp_path)
    with caplog.at_level(logging.WARNING):
        backend = command._open_backend(retriever, BackendOptions(), may_fall_back=True)
    assert "pretrained/generator holds no weights" in caplog.text
    assert "840 reports a minute" in backend.description
