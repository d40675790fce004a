"""Drawn data sets, packs and a run of the encoder's training."""

import csv
import gzip
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import BertConfig, BertModel, BertTokenizerFast

from finetune.encoder import run as encoder_run
from finetune.encoder.config import EncoderConfig
from finetune.encoder.data import pack_openi
from finetune.encoder.labelled.packing import pack_labelled
from finetune.encoder.network import new_network
from finetune.encoder.pack import Pack
from indexer.reports.labeller import LABELLER_VERSION, label_report
from indexer.reports.sentences import split_sentences
from indexer.sources.nih_folders import NIH_LABELS
from tests.support.radiographs import draw_radiograph

TEXT_DIM = 32
CONFIG = EncoderConfig(
    tower="test_efficientnet",
    epochs=2,
    batch=4,
    size=64,
    dim=16,
    members=2,
    fit_steps=3,
    fit_batch=4,
    coarse=0.0,
    labelled_batch=4,
    start_steps=2,
    start_batch=4,
)
REPORTS = [
    ("Both lungs are free of disease. The heart is of normal size.", "Nothing acute.", "normal"),
    ("A moderate left effusion blunts the angle.", "Left pleural effusion.", "Effusion/left"),
    ("The heart is enlarged.", "Cardiomegaly.", "Cardiomegaly/mild"),
]
SPLIT = {"train": [*range(1, 9)], "val": [9, 10, 11], "test": [12], "comment": "drawn"}


def embed_texts(texts: Sequence[str]) -> np.ndarray:
    """A stand-in for the text tower: equal texts, equal vectors."""
    return np.stack(
        [np.random.default_rng(list(text.encode())).normal(size=TEXT_DIM) for text in texts]
    ).astype(np.float32)


@pytest.fixture(autouse=True)
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run within a test draws no curves, which takes longer than a tiny network's training."""
    monkeypatch.setattr("finetune.encoder.run.draw_curves", lambda *given, **options: None)


@pytest.fixture(scope="session")
def openi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirteen drawn studies in the layout of Open-I; number 13 is in no list."""
    root = tmp_path_factory.mktemp("openi")
    (root / "images").mkdir()
    views, sizes = {}, []
    with tarfile.open(root / "NLMCXR_reports.tgz", "w:gz") as archive:
        for number in range(1, 14):
            findings, impression, heading = REPORTS[number % 3]
            xml = (
                f'<e><A><AbstractText Label="FINDINGS">{findings}</AbstractText>'
                f'<AbstractText Label="IMPRESSION">{impression}</AbstractText></A>'
                f"<MeSH><major>{heading}</major><automatic>lungs</automatic></MeSH></e>"
            ).encode()
            entry = tarfile.TarInfo(f"ecgen-radiology/{number}.xml")
            entry.size = len(xml)
            archive.addfile(entry, io.BytesIO(xml))
            for view, word in (("PA", "Frontal"), ("LATERAL", "Lateral")):
                stem = f"{number}_IM-0001-{word[:1]}"
                image = draw_radiograph(
                    number, size=(256, 256), view="PA" if view == "PA" else "LATERAL"
                )
                Image.fromarray(image).save(root / "images" / f"{stem}.dcm.jpg")
                views[f"{stem}.dcm.jpg"] = word
                sizes.append({"imageid": f"CXR{stem}", "Rows": "2000", "Columns": "1500"})
    (root / "projections.json").write_text(json.dumps(views))
    (root / "split.json").write_text(json.dumps(SPLIT))
    with gzip.open(root / "nlmcxr_dicom_metadata.csv.gz", "wt", newline="") as stream:
        writer = csv.DictWriter(stream, ["imageid", "Rows", "Columns"])
        writer.writeheader()
        writer.writerows(sizes)
    return root


@pytest.fixture(scope="session")
def nih(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of drawn ChestX-ray14 images. Patients 2 and 3 have images in both, 7 is a
    child, and 6 has a box."""
    root = tmp_path_factory.mktemp("nih")
    (root / "first" / "images").mkdir(parents=True)
    (root / "more" / "images").mkdir(parents=True)
    boxes = "boxes_name_x_y_w_h_in_1024"
    fields = ["image", "patient_id", "age", boxes, "w", *NIH_LABELS]
    for folder, patients, side in (("first", range(4), 320), ("more", range(2, 8), 128)):
        with (root / folder / "labels.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, fields, restval="0")
            writer.writeheader()
            for patient in patients:
                name = f"{folder}-{patient}.png"
                image = draw_radiograph(patient, size=(side, side))
                Image.fromarray(image).save(root / folder / "images" / name)
                label = ("Effusion", "Mass", "No Finding")[patient % 3]
                age = 9 if patient == 7 else 40
                box = "Mass:256:512:128:64" if patient == 6 else ""
                row = {"image": name, "patient_id": str(patient), "age": age, boxes: box, "w": side}
                writer.writerow(row | {label: "1"})
    return root


@pytest.fixture(scope="session")
def pack(openi: Path) -> Pack:
    return pack_openi(
        openi,
        openi / "split.json",
        embed_texts=embed_texts,
        label_report=lambda report: label_report(split_sentences(report)),
        labeller_version=LABELLER_VERSION,
        quality=88,
    )


@pytest.fixture(scope="session")
def labelled_pack(pack: Pack, nih: Path) -> Pack:
    """The same with labelled images of four train patients, and of three val patients."""
    return replace(pack, labelled=pack_labelled([nih / "first", nih / "more"]))


@pytest.fixture(scope="session")
def run_dir(labelled_pack: Pack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trained members, and the encoder made of them."""
    out = tmp_path_factory.mktemp("run")
    network = new_network(CONFIG, labelled_pack)
    encoder_run.train_start(CONFIG, labelled_pack, out, network=network, device="cpu")
    parts = [
        encoder_run.train_part(name, part, labelled_pack, out, network=network, device="cpu")
        for name, part in CONFIG.parts().items()
    ]
    encoder_run.finish(parts, CONFIG, labelled_pack, out, device="cpu")
    return out


@pytest.fixture(scope="session")
def text_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text tower of the same class as the real one, random and small."""
    folder = tmp_path_factory.mktemp("text")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "clear", "lungs", "large", "heart"]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=TEXT_DIM,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder
