"""Which converter knows which estimator, what an estimator refuses, and how a linear one swallows a long vector."""

from __future__ import annotations

import importlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from arkwright.bundles.cells import Columns, FloatArray
from arkwright.bundles.conversion.expressions import (
    Cell,
    KeyCell,
    LevelCell,
    TermCell,
    Value,
    make_kernels,
    new_group,
)
from arkwright.bundles.encoder import Encoder
from arkwright.bundles.errors import NotCompilable
from arkwright.bundles.evaluators import ConstantEvaluator, Evaluator, LightGBMEvaluator, LinearEvaluator
from arkwright.bundles.kernels import FittedKernel, Step, TermScores

_CONVERTERS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(
        (
            "DecisionTreeClassifier",
            "DecisionTreeRegressor",
            "ExtraTreeClassifier",
            "ExtraTreeRegressor",
            "ExtraTreesClassifier",
            "ExtraTreesRegressor",
            "RandomForestClassifier",
            "RandomForestRegressor",
        ),
        ("forest", "convert_forest"),
    ),
    **dict.fromkeys(
        ("GradientBoostingClassifier", "GradientBoostingRegressor"), ("forest", "convert_gradient_boosting")
    ),
    **dict.fromkeys(
        ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"),
        ("hist_gradient", "convert_hist_gradient_boosting"),
    ),
    **dict.fromkeys(("XGBClassifier", "XGBRegressor"), ("xgboost", "convert_xgboost")),
    **dict.fromkeys(("CatBoostClassifier", "CatBoostRegressor"), ("catboost", "convert_catboost")),
    **dict.fromkeys(("VotingClassifier", "VotingRegressor"), ("voting", "convert_voting")),
    **dict.fromkeys(("VotingClassifier", "VotingRegressor"), ("voting", "convert_voting")),
}
_SINGLE_PRECISION = ("forest",)
_LINEAR = "linear"


def convert_estimator(estimator: Any, *, with_codes: bool = False) -> Evaluator:
    """Return a fitted estimator's own evaluator.

    Parameters
    ----------
    with_codes
        Whether pandas' categories arrive as their positions, as LightGBM expects them.

    Raises
    ------
    NotCompilable
        If its kind has none.
    """
    kind = type(estimator).__name__
    if kind in ("LGBMClassifier", "LGBMRegressor", "LightGBMBooster"):
        return _lightgbm(estimator.booster_, with_codes=with_codes)
    if kind in ("DummyClassifier", "DummyRegressor"):
        return _constant(estimator)
    if kind in _CONVERTERS:
        module, function = _CONVERTERS[kind]
    elif hasattr(estimator, "coef_"):
        module, function = _LINEAR, "convert_linear"
    else:
        raise NotCompilable(f"There is no compiled form of the estimator {kind}.")
    if with_codes and module != "hist_gradient":
        raise NotCompilable(f"The {kind} was fitted on pandas categories.", hint="Encode them in a pipeline.")
    settings = {"category_positions": True} if with_codes else {}
    home = importlib.import_module(f"arkwright.bundles.conversion.{module}")
    converted: Evaluator = getattr(home, function)(estimator, **settings)
    return converted


def guards_of(estimator: Any, *, sparse: bool) -> tuple[Step, ...]:
    """Return the checks that an estimator makes of each number before it answers."""
    module, _ = _CONVERTERS.get(type(estimator).__name__, ("", ""))
    if module == "voting":
        members = [guards_of(member, sparse=sparse) for member in estimator.estimators_]
        if any(step.op == "missing_if" for guards in members for step in guards):
            raise NotCompilable("XGBoost reads what a sparse matrix leaves out as missing, and others as zero.")
        return tuple(dict.fromkeys(step for guards in members for step in guards))
    if module == "xgboost" and sparse:
        # What a sparse matrix does not hold is missing to XGBoost, and was in training.
        return (Step("missing_if", 0.0),)
    guards = []
    if not _takes_missing(estimator) or (module in _SINGLE_PRECISION and sparse):
        guards.append(Step("present"))
    if module in _SINGLE_PRECISION:
        guards.append(Step("within32"))
    return tuple(guards)


def folded(cells: Sequence[Cell], evaluator: Evaluator) -> tuple[tuple[FittedKernel, ...] | None, Evaluator]:
    """Move a linear model's coefficients for texts and categories into the encoder.

    A text of fifty thousand terms, or a category of a thousand levels, then adds one number to each score, and no
    long vector is ever made.

    Returns
    -------
    tuple
        The kernels, or None where nothing was folded, and the linear model that is left.
    """
    if not isinstance(evaluator, LinearEvaluator):
        return None, evaluator
    groups = _groups(cells)
    n_scores = evaluator.n_outputs
    if not any(_is_long(group, n_scores) for group in groups):
        return None, evaluator
    coef, intercept = _weights(evaluator)
    kernels: list[FittedKernel] = []
    columns: list[FloatArray] = []
    at = 0
    for group in groups:
        own = coef[:, at : at + len(group)]
        at += len(group)
        if not _is_long(group, n_scores):
            kernels.extend(make_kernels(group))
            columns.append(own)
            continue
        first = group[0]
        if isinstance(first, TermCell):
            kernels.append(_term_scores(first, [cell for cell in group if isinstance(cell, TermCell)], own))
        else:
            sums = [_weighted_sum([c for c in group if isinstance(c, LevelCell | KeyCell)], row) for row in own]
            for cell in sums:
                kernels.extend(make_kernels([cell]))
        columns.append(np.eye(n_scores))
    left = LinearEvaluator(np.concatenate(columns, axis=1), intercept, evaluator.link)
    return tuple(kernels), left


def with_mean(evaluator: Evaluator, encoder: Encoder, columns: Columns) -> Evaluator:
    """Return a linear evaluator that knows the mean of its features over some rows, which explanations start from."""
    if not isinstance(evaluator, LinearEvaluator):
        return evaluator
    coef, intercept = _weights(evaluator)
    mean = encoder.encode_columns(columns).mean(axis=0)
    return LinearEvaluator(coef, intercept, evaluator.link, mean=mean) if np.isfinite(mean).all() else evaluator


def _weights(evaluator: LinearEvaluator) -> tuple[FloatArray, FloatArray]:
    state = evaluator.dump()
    with np.load(io.BytesIO(state.files["linear.npz"]), allow_pickle=False) as arrays:
        return arrays["coef"], arrays["intercept"]


def _groups(cells: Sequence[Cell]) -> list[list[Cell]]:
    groups: list[list[Cell]] = []
    for cell in cells:
        number = getattr(cell, "group", None)
        if groups and number is not None and getattr(groups[-1][0], "group", None) == number:
            groups[-1].append(cell)
        else:
            groups.append([cell])
    return groups


def _is_long(group: Sequence[Cell], n_scores: int) -> bool:
    if isinstance(group[0], TermCell):
        return True
    return len(group) > n_scores and isinstance(group[0], LevelCell | KeyCell)


def _term_scores(first: TermCell, terms: Sequence[TermCell], coef: FloatArray) -> TermScores:
    weights = np.zeros((coef.shape[0], first.plan.n_terms))
    chosen = np.array([cell.term for cell in terms], dtype=np.intp)
    weights[:, chosen] = coef * np.array([cell.factor for cell in terms])
    names = tuple(f"{first.column} terms {index}" for index in range(coef.shape[0]))
    return TermScores(column=first.column, plan=first.plan, names=names, coefficients=tuple(weights.ravel().tolist()))


def _weighted_sum(cells: Sequence[LevelCell | KeyCell], coef: FloatArray) -> Cell:
    """Return one output that is the sum of a category's outputs times their coefficients."""
    first, weights = cells[0], coef.tolist()

    def total(values: Sequence[Value]) -> Value:
        found = [value for value in values if value is not None]
        if len(found) < len(values):
            return None
        result = 0.0
        for weight, value in zip(weights, found, strict=True):
            result += weight * value
        return result

    base = total([cell.base for cell in cells])
    special: dict[int, Value] = {}
    for weight, cell in zip(weights, cells, strict=True):
        for index, value in cell.special.items():
            if value is None or cell.base is None or base is None or index in special:
                raise NotCompilable(f"A level of {cell.column!r} has several outputs of its own.")
            special[index] = base - weight * cell.base + weight * value
    settings = {"group": new_group(), "name": f"{first.column} score", "special": special, "base": base}
    unseen, missing = total([cell.unseen for cell in cells]), total([cell.missing for cell in cells])
    if isinstance(first, LevelCell):
        return LevelCell(column=first.column, levels=first.levels, unseen=unseen, missing=missing, **settings)  # type: ignore[arg-type]
    return KeyCell(
        column=first.column,
        steps=first.steps,
        levels=first.levels,
        unseen=unseen,
        missing=missing,
        **settings,  # type: ignore[arg-type]
    )


def _takes_missing(estimator: Any) -> bool:
    tags = getattr(estimator, "__sklearn_tags__", None)
    return True if tags is None else bool(tags().input_tags.allow_nan)


def _lightgbm(booster: Any, *, with_codes: bool) -> Evaluator:
    if booster.pandas_categorical and not with_codes:
        raise NotCompilable(
            "The LightGBM model was fitted on pandas categories.",
            hint="Encode them with OrdinalEncoder in a pipeline, and name them with categorical_feature.",
        )
    return LightGBMEvaluator(booster.model_to_string())


def _constant(estimator: Any) -> Evaluator:
    if type(estimator).__name__ == "DummyRegressor":
        return ConstantEvaluator(np.ravel(estimator.constant_).tolist(), n_features=_width(estimator))
    if estimator.strategy not in ("prior", "most_frequent", "constant"):
        raise NotCompilable(f"A DummyClassifier with the strategy {estimator.strategy!r} answers at random.")
    scores = np.asarray(estimator.predict_proba(np.zeros((1, _width(estimator)))))[0].tolist()
    return ConstantEvaluator(scores[1:] if len(scores) == 2 else scores, n_features=_width(estimator))


def _width(estimator: Any) -> int:
    width = getattr(estimator, "n_features_in_", None)
    if width is None:
        raise NotCompilable(f"The {type(estimator).__name__} does not say how many columns it was fitted on.")
    return int(width)
