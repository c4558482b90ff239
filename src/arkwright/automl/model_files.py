"""A trained model between processes: its encoder and its evaluator, as a bundle will store them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from arkwright.automl.arrays import write_atomically
from arkwright.bundles import EVALUATORS, Encoder, Evaluator


def write_encoder(folder: Path, encoder: Encoder) -> None:
    """Store an encoder."""
    folder.mkdir(parents=True, exist_ok=True)
    state, arrays = encoder.to_json()
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    write_atomically(folder / "encoder.json", msgspec.json.encode({"state": state, "arrays": sorted(arrays)}))


def read_encoder(folder: Path) -> Encoder:
    """Read an encoder back."""
    stored = msgspec.json.decode((folder / "encoder.json").read_bytes())
    return Encoder.from_json(stored["state"], {name: np.load(folder / f"{name}.npy") for name in stored["arrays"]})


def write_evaluator(folder: Path, evaluator: Evaluator) -> None:
    """Store an evaluator."""
    folder.mkdir(parents=True, exist_ok=True)
    state = evaluator.dump()
    for name, data in state.files.items():
        write_atomically(folder / name, data)
    listing = {"kind": evaluator.kind, "params": state.params, "files": sorted(state.files)}
    write_atomically(folder / "estimator.json", msgspec.json.encode(listing))


def read_evaluator(folder: Path) -> Evaluator:
    """Read an evaluator back."""
    stored = msgspec.json.decode((folder / "estimator.json").read_bytes())
    files = {name: (folder / name).read_bytes() for name in stored["files"]}
    return EVALUATORS[stored["kind"]].load(stored["params"], files)
