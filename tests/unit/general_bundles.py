"""General bundles around models that do as a cell of the row says: answer, raise, hang, die."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np

from arkwright.bundles import GeneralInput, GeneralModel, fit_baseline, rows_to_columns, write_general_bundle
from arkwright.contracts import Column, Signature

SIGNATURE = Signature(
    task="regression",
    target="y",
    columns=(
        Column(name="x", kind="numeric"),
        Column(name="order", kind="categorical"),
        Column(name="day", kind="time", required=False),
    ),
    identifiers=("id",),
    ignored=("note",),
)
_INPUTS = (
    GeneralInput(name="x", dtype="float64"),
    GeneralInput(name="order", dtype="text"),
    GeneralInput(name="day", dtype="moment"),
)


def obedient_model() -> Any:
    """Return a model of y = 2 x + 1, or of 0 where x is missing, that obeys the column ``order``.

    The class is local, so that its code travels in the pickle.
    """

    class Obedient:
        def __init__(self) -> None:
            self.calls = 0

        def predict(self, frame: Any) -> Any:
            import os
            import pathlib
            import signal
            import time

            for order in frame["order"]:
                if not isinstance(order, str):
                    continue
                word, _, given = order.partition(":")
                if word == "poison":
                    raise ValueError("this row is poison")
                if word == "die":
                    os.kill(os.getpid(), signal.SIGKILL)
                if word == "die once" and not pathlib.Path(given).exists():
                    pathlib.Path(given).touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                if word == "leave":
                    print("the model says goodbye")  # noqa: T201
                    os._exit(3)
                if word == "hang":
                    time.sleep(3600)
                if word == "wait":  # until a file appears; says so first
                    pathlib.Path(given).with_suffix(".begun").touch()
                    while not pathlib.Path(given).exists():
                        time.sleep(0.001)
                if word == "count rows":
                    return frame["x"].to_numpy() * 0 + len(frame)
                if word == "one too few":
                    return frame["x"].to_numpy()[1:]
                if word == "not a number":
                    return frame["x"].to_numpy() * float("nan")
                if word == "environment":
                    pathlib.Path(given).write_text("\n".join(f"{name}={value}" for name, value in os.environ.items()))
            return (frame["x"] * 2 + 1).fillna(0.0).to_numpy()

    return Obedient()


def write_pickled(folder: Path, model: Any, example_rows: list[dict[str, Any]] | None = None) -> str:
    """Write a general bundle of a pickled model with the ``x``, ``order``, ``day`` signature; return its digest."""
    files = folder.with_name(f"{folder.name}-files")
    files.mkdir(parents=True)
    (files / "model.pkl").write_bytes(cloudpickle.dumps(model))
    rows = example_rows or [{"x": 1.0, "order": None, "day": None}, {"x": 2, "order": "none", "day": "2026-01-01"}]
    return write_general_bundle(
        folder,
        signature=SIGNATURE,
        general=GeneralModel(loader="pickle", path="model.pkl", inputs=_INPUTS, method="predict"),
        model_folder=files,
        reason="It is made for a test.",
        baseline=fit_baseline(SIGNATURE, rows_to_columns(rows, SIGNATURE), np.zeros((len(rows), 1))),
        example_rows=rows,
        learner="custom",
    )
