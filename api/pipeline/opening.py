"""Opening the language model that the service writes with."""

from api.pipeline.language_model import Digests, LanguageWriter
from generator.calibration import CALIBRATION, Calibration
from generator.mllama.adapter import WEIGHTS
from generator.mllama.checkpoint import base_sha256, find_folder
from generator.mllama.load import load_model
from generator.vision_language import DecodingOptions
from indexer.encoder.weight_files import file_sha256
from retriever.search import Retriever


def open_writer(
    retriever: Retriever, model: str, adapter: str | None, decoding: DecodingOptions
) -> LanguageWriter:
    """A folder or hub id of Llama 3.2 Vision, with or without an adapter, ready to write.

    Raises UserError for what cannot be loaded, MismatchError where adapter, model and index do not
    belong together.
    """
    loaded = load_model(model, adapter)
    record = loaded.record
    folder = None if loaded.adapter is None else find_folder(loaded.adapter, what="adapter")
    return LanguageWriter(
        retriever,
        loaded,
        digests=Digests(
            model=base_sha256(model) if record is None else record.base_sha256,  # was checked
            adapter=None if folder is None else file_sha256(folder / WEIGHTS),
        ),
        record=record,
        calibration=Calibration.read((folder or find_folder(model)) / CALIBRATION),
        decoding=decoding,
    )
