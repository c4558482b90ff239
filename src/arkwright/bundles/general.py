"""What a bundle holds for a model that could not be compiled.

A *general* bundle keeps the user's own model under ``model/`` (the files of an MLflow model, or one stored object) in
place of an encoder and an estimator, and ``general.json`` says how a child process loads and calls it::

    manifest.json      predictor "general", and general_reason
    signature.json     as in every bundle
    baseline.json
    example.json
    general.json       GeneralModel
    model/...          the model's own files, hashed like all others

Nothing is loaded here: that takes the model's own libraries, and perhaps a pickle, and happens in a process of its
own (:mod:`arkwright.bundles.general_model`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from arkwright.core.structs import prepared

MODEL_FOLDER = "model"
GENERAL_FILE = "general.json"

Loader = Literal["pickle", "skops", "mlflow", "xgboost", "lightgbm", "catboost"]
InputType = Literal["float64", "float32", "integer", "boolean", "text", "category", "moment"]
Method = Literal["predict_proba", "predict"]

RUNS_CODE: frozenset[Loader] = frozenset({"pickle", "mlflow"})
"""Loaders that run code which the model's file brings along."""


class GeneralInput(msgspec.Struct, frozen=True, kw_only=True):
    """An input column as the model was fitted on it.

    Parameters
    ----------
    dtype
        What the frame's column becomes. ``integer`` and ``boolean`` become floats and objects where a cell is missing,
        as they do in pandas.
    levels
        For ``category``, the declared categories in order; empty for those of the rows at hand.
    nullable
        Whether pandas' nullable type is meant.
    missing_none
        Whether the model was fitted on None, and not NaN, where a text was missing.
    """

    name: str
    dtype: InputType
    bits: int = 64
    levels: tuple[str | int | float | bool, ...] = ()
    nullable: bool = False
    missing_none: bool = False


class GeneralModel(msgspec.Struct, frozen=True, kw_only=True):
    """How a child process loads and calls the model.

    Parameters
    ----------
    loader
        What reads ``path``: ``mlflow`` is ``mlflow.pyfunc``, for whatever has no loader of its own here.
    path
        Below ``model/``; empty for the folder itself.
    inputs
        The columns, in the order the model takes them.
    frame
        Whether it takes a pandas frame; otherwise an array without names.
    method
        What is called.
    class_columns
        For each class of the signature, its column in what ``predict_proba`` returns.
    """

    loader: Loader
    path: str = ""
    inputs: tuple[GeneralInput, ...]
    frame: bool = True
    method: Method
    class_columns: tuple[int, ...] = ()

    @property
    def runs_code(self) -> bool:
        """Whether loading it runs code from its files."""
        return self.loader in RUNS_CODE


prepared(GeneralModel)
