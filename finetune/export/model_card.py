"""The README of an adapter: what it is, what it was trained on, and on whose terms it stands."""

from pathlib import Path

from db.files import write_text
from finetune.export.licence import BaseLicence, find_licence
from generator.mllama.adapter_record import AdapterRecord

CARD = "README.md"


def write_card(directory: Path, record: AdapterRecord) -> None:
    write_text(directory / CARD, adapter_card(record, find_licence(record.base_model)))


def adapter_card(record: AdapterRecord, licence: BaseLicence) -> str:
    config = record.config
    scored = "not measured" if record.val_loss is None else f"{record.val_loss:.4f}"
    layers = [name for name in ("vision", "language", "attention", "mlp") if config[name]]
    facts = {
        "base model": f"`{record.base_model}` (weights {record.base_sha256[:12]})",
        "prompts": f"`{record.prompt_version}`",
        "index": f"`{(record.index_fingerprint or 'none')[:12]}`",
        "training data": f"`{record.data_sha256[:12]}`",
        "LoRA": f"rank {config['rank']}, alpha {config['alpha']}, {', '.join(layers)}",
        "trained": f"{record.step} steps, backend {config['backend']}, bits {config['bits']}",
        "validation loss": scored,
        "packages": ", ".join(f"{name} {version}" for name, version in record.packages.items()),
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    return f"""---
base_model: {record.base_model}
library_name: peft
license: {"llama3.2" if licence.llama else (licence.name or "other")}
tags: [lora, radiology, chest-x-ray]
---

# {"Llama 3.2 Vision adapter" if licence.llama else "Adapter"} for grounded chest X-ray reports

**Research use only: not a medical device, not for clinical decisions.** It writes sentences that
cite the prior cases shown in the prompt; they can be wrong of this patient.

| | |
|---|---|
{table}

It answers to prompts of this project's `{record.prompt_version}` and is refused under another
version. `adapter_record.json` holds the same facts for machines.

## Terms

{licence.terms()} What it was trained on has terms of its own, which may forbid commercial use.
"""
