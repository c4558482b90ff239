"""``python -m arkwright.registry.compiling TASK``: load somebody's model, compile it, measure it, write its bundle.

A program of its own, because a model brings libraries, and perhaps a pickle, that have no business in a worker: it has
no setting and no secret in its environment, and its parent ends it when it takes too long. It answers with a file.
"""

from __future__ import annotations

import platform
import sys
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from arkwright.bundles import (
    Predictor,
    fit_baseline,
    to_rows,
    write_bundle,
    write_general_bundle,
)
from arkwright.bundles.cells import Columns, FloatArray
from arkwright.bundles.conversion.estimators import with_mean
from arkwright.bundles.conversion.inputs import (
    choose_inputs,
    class_labels,
    compile_with_inputs,
    fitted_names,
    signature_columns,
)
from arkwright.bundles.conversion.pipeline import CompiledModel, steps_of
from arkwright.bundles.errors import NotCompilable
from arkwright.bundles.general import GeneralInput, GeneralModel, InputType
from arkwright.bundles.general_model import GeneralPredictor, load_model
from arkwright.bundles.parity import measure_model_parity
from arkwright.contracts import ParityRecord, Signature
from arkwright.contracts.signature import Label, TaskType
from arkwright.core.errors import ArkwrightError, Invalid
from arkwright.core.structs import prepared
from arkwright.features import to_columns
from arkwright.kit.offspring import die_with_parent
from arkwright.kit.priority import BACKGROUND, give_way
from arkwright.registry.model_folder import ModelFiles, find_model

_SAMPLE_ROWS = 50_000
_EXAMPLES = 3
_TRIED_ROWS = 5
_LIBRARIES = ("arkwright", "numpy", "pandas", "scikit-learn", "lightgbm", "xgboost", "catboost", "mlflow")


class CompileTask(msgspec.Struct, frozen=True, kw_only=True):
    """What the program is asked to do; paths are absolute.

    Parameters
    ----------
    sample
        A Parquet file of rows, or empty for the ``MLmodel`` file's own example.
    out
        Where the bundle goes; it does not exist yet.
    """

    model: str
    out: str
    answer: str
    sample: str = ""
    target: str = ""
    task: TaskType | None = None
    classes: tuple[Label, ...] = ()
    allow_pickled: bool = False
    lineage: dict[str, str] = {}
    created_by: str = ""


class CompileAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: a bundle, or a problem."""

    digest: str = ""
    predictor: str = ""
    general_reason: str = ""
    task: str = ""
    learner: str = ""
    parity: ParityRecord | None = None
    n_refused: int = 0
    n_rows: int = 0
    problem: dict[str, Any] | None = None


def main() -> None:
    """Do the task in the file that is named, and write the answer beside it."""
    die_with_parent()
    give_way(BACKGROUND)
    task = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=CompileTask)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = answer_to(task)
    Path(task.answer).write_bytes(msgspec.json.encode(answer))


def answer_to(task: CompileTask) -> CompileAnswer:
    """Do a task; what is wrong with the model or the sample is an answer, too."""
    try:
        return compile_folder(task)
    except ArkwrightError as error:
        return CompileAnswer(problem=_problem(error))


def compile_folder(task: CompileTask) -> CompileAnswer:
    """Load, compile, measure and write.

    Raises
    ------
    Invalid
        If the model cannot be loaded or called, or the sample does not fit it.
    PolicyRefused
        If loading it would run code, and that is not allowed.
    """
    files = find_model(Path(task.model), allow_pickled=task.allow_pickled)
    general = GeneralModel(loader=files.loader, path=files.path, inputs=(), method=_method_before_loading(files))
    model = _loaded(files, general)
    table, sample_inputs = _sample(task, files)
    names, frame = _names(model, files, sample_inputs, task.target)
    inputs = choose_inputs(names, {item.name: item for item in files.declared}, sample_inputs)
    compiled: CompiledModel | NotCompilable
    if files.loader == "mlflow":
        compiled = NotCompilable("It is an MLflow python_function, which has no parts that can be read.")
    else:
        inputs, compiled = compile_with_inputs(model, inputs)
    signature = _signature(task, model, inputs, table)
    classifies = signature.task != "regression"
    general = msgspec.structs.replace(
        general,
        inputs=inputs,
        frame=frame,
        method="predict_proba" if classifies and hasattr(model, "predict_proba") else "predict",
    )
    columns = _columns(signature, table)
    original = GeneralPredictor(signature, general, model)
    scores = _scored(original, columns)
    return _write(task, files, signature, general, model, compiled, columns, original, scores)


def _write(
    task: CompileTask,
    files: ModelFiles,
    signature: Signature,
    general: GeneralModel,
    model: Any,
    compiled: CompiledModel | NotCompilable,
    columns: Columns,
    original: GeneralPredictor,
    scores: FloatArray,
) -> CompileAnswer:
    n_rows = scores.shape[0]
    learner = type(steps_of(model)[1]).__name__ if files.loader != "mlflow" else "pyfunc"
    examples = to_rows({name: values[:_EXAMPLES] for name, values in columns.items()})
    baseline = fit_baseline(signature, columns, scores)
    settings: dict[str, Any] = {
        "signature": signature,
        "baseline": baseline,
        "example_rows": examples,
        "learner": learner[:60],
        "lineage": {**task.lineage, "loader": files.loader},
        "environment": environment(),
        "created_by": task.created_by,
    }
    reason, parity, n_refused = "", None, 0
    if isinstance(compiled, NotCompilable):
        reason = compiled.detail
    else:
        try:
            evaluator = with_mean(compiled.evaluator, compiled.encoder, columns)
            predictor = Predictor(signature, compiled.encoder, evaluator)
            measured = measure_model_parity(predictor, original.scores, columns)
        except ArkwrightError as error:
            reason = f"The compiled form does not work: {error.detail}"
        else:
            parity, n_refused = measured.record, measured.n_refused
            if parity.passed:
                digest = write_bundle(
                    Path(task.out), encoder=compiled.encoder, estimator=evaluator, parity=parity, **settings
                )
                return CompileAnswer(
                    digest=digest,
                    predictor="compiled",
                    task=signature.task,
                    learner=learner,
                    parity=parity,
                    n_refused=n_refused,
                    n_rows=n_rows,
                )
            reason = (
                f"The compiled form differed from the model's own answers by up to {parity.max_abs_difference:.3g} on "
                f"{parity.n_rows:,} rows, more than the {parity.tolerance:.3g} allowed. For example {measured.example}."
            )
    digest = write_general_bundle(
        Path(task.out),
        general=general,
        model_folder=Path(files.folder),
        reason=reason[:2000],
        parity=parity,
        **settings,
    )
    return CompileAnswer(
        digest=digest,
        predictor="general",
        general_reason=reason[:2000],
        task=signature.task,
        learner=learner,
        parity=parity,
        n_refused=n_refused,
        n_rows=n_rows,
    )


def environment() -> dict[str, str]:
    """Return the versions a bundle was made with."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()}-{platform.machine()}".lower()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _method_before_loading(files: ModelFiles) -> Any:
    return "predict" if files.kind.endswith("Regressor") else "predict_proba"


def _loaded(files: ModelFiles, general: GeneralModel) -> Any:
    try:
        return load_model(Path(files.folder), general)
    except ArkwrightError:
        raise
    except Exception as error:
        raise Invalid(
            f"The model cannot be loaded here: {type(error).__name__}: {str(error)[:500]}",
            code="import.not_loaded",
            hint="It must load with the libraries that are installed beside Arkwright, in their versions.",
        ) from error


def _sample(task: CompileTask, files: ModelFiles) -> tuple[pa.Table, dict[str, GeneralInput]]:
    if task.sample:
        table = pq.read_table(task.sample)
        chosen = np.unique(np.linspace(0, table.num_rows - 1, num=min(table.num_rows, _SAMPLE_ROWS)).astype(np.intp))
        table = table.take(chosen) if table.num_rows else table
    elif files.example:
        table = pa.Table.from_pylist([dict(row) for row in files.example])
    else:
        raise Invalid(
            "There are no rows to learn the columns from, and to compare answers on.",
            code="import.sample_needed",
            hint="Give a sample (an upload or a dataset version), or log the model with an input_example.",
        )
    if table.num_rows == 0:
        raise Invalid("The sample has no rows.", code="import.sample_empty", hint="Give at least one row.")
    return table, {field.name: _input_of(field) for field in table.schema if field.name != task.target}


def _input_of(field: pa.Field) -> GeneralInput:
    kind: InputType = "text"
    if pa.types.is_integer(field.type):
        kind = "integer"
    elif pa.types.is_floating(field.type) or pa.types.is_decimal(field.type):
        kind = "float64"
    elif pa.types.is_boolean(field.type):
        kind = "boolean"
    elif pa.types.is_temporal(field.type):
        kind = "moment"
    return GeneralInput(name=field.name, dtype=kind)


def _names(
    model: Any, files: ModelFiles, sampled: dict[str, GeneralInput], target: str
) -> tuple[tuple[str, ...], bool]:
    """Return the columns a model takes, and whether it takes them by name."""
    names = fitted_names(model) if files.loader != "mlflow" else ()
    if names:
        return names, True
    if files.declared:
        return tuple(item.name for item in files.declared if item.name != target), True
    width = getattr(model, "n_features_in_", None)
    if width is None or int(width) == len(sampled) or files.loader == "mlflow":
        return tuple(sampled), files.loader == "mlflow"
    raise Invalid(
        f"The model was fitted on {int(width)} columns without names, and the sample has {len(sampled)} besides the "
        "target.",
        code="import.columns",
        hint="Give a sample with exactly the model's columns in their order (and name the target, if it is there).",
    )


def _signature(task: CompileTask, model: Any, inputs: tuple[GeneralInput, ...], table: pa.Table) -> Signature:
    classes = class_labels(model)
    if classes and task.classes and tuple(map(str, classes)) != tuple(map(str, task.classes)):
        raise Invalid(
            f"The model's classes are {list(classes)}, not {list(task.classes)}.",
            code="import.classes",
            hint="Leave classes out: the model knows them.",
        )
    classes = classes or task.classes
    if not classes and getattr(model, "classifies", False):
        raise Invalid(
            "The model answers with probabilities and does not know of which classes.",
            code="import.classes",
            hint='Name them in the order of its answers: "classes": ["No", "Yes"].',
        )
    kind: TaskType = "regression" if not classes else "binary" if len(classes) == 2 else "multiclass"
    if len(classes) == 1:
        raise Invalid("The model knows a single class.", code="import.classes", hint="Train it on at least two.")
    if task.task is not None and task.task != kind:
        raise Invalid(
            f"The model answers a {kind} question, not a {task.task} one.",
            code="import.task",
            hint="Leave the task out, or, for a model that does not know its classes, name them in classes.",
        )
    columns = signature_columns(inputs)
    names = {column.name for column in columns}
    target = task.target or "target"
    ignored = tuple(name for name in table.column_names if name not in names and name != target)
    return Signature(task=kind, target=target, columns=columns, classes=classes, ignored=ignored)


def _columns(signature: Signature, table: pa.Table) -> Columns:
    try:
        return to_columns(table, signature.columns)
    except pa.ArrowException as error:
        raise Invalid(
            f"The sample cannot be read as what the model takes: {str(error)[:300]}",
            code="import.columns",
            hint="Give rows like those the model was trained on, with the same columns and types.",
        ) from error


def _scored(original: GeneralPredictor, columns: Columns) -> FloatArray:
    """Ask the model about the sample: what it cannot answer, it was not trained for."""
    try:
        original.scores({name: values[:_TRIED_ROWS] for name, values in columns.items()})
        return original.scores(columns)
    except ArkwrightError:
        raise
    except Exception as error:
        raise Invalid(
            f"The model raises an error on the sample: {type(error).__name__}: {str(error)[:500]}",
            code="import.model_raises",
            hint="Give rows like those the model was trained on, with the same columns and types.",
        ) from error


def _problem(error: ArkwrightError) -> dict[str, Any]:
    return {
        "code": error.code,
        "status": error.status,
        "detail": error.detail,
        "hint": error.hint,
        "errors": list(getattr(error, "errors", None) or []),
    }


prepared(CompileAnswer)

if __name__ == "__main__":
    main()
