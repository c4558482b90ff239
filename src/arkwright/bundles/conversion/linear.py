"""scikit-learn's linear models: a sum, and a link where the model has one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from arkwright.bundles.errors import NotCompilable
from arkwright.bundles.evaluators import LinearEvaluator, Link

_SUMS = {
    "ARDRegression",
    "BayesianRidge",
    "ElasticNet",
    "ElasticNetCV",
    "HuberRegressor",
    "Lars",
    "LarsCV",
    "Lasso",
    "LassoCV",
    "LassoLars",
    "LassoLarsCV",
    "LassoLarsIC",
    "LinearRegression",
    "LinearSVR",
    "OrthogonalMatchingPursuit",
    "OrthogonalMatchingPursuitCV",
    "QuantileRegressor",
    "Ridge",
    "RidgeCV",
    "SGDRegressor",
    "TheilSenRegressor",
}
_LOGISTIC = {"LogisticRegression", "LogisticRegressionCV"}
_EXPONENTIAL = {"PoissonRegressor", "GammaRegressor"}


def convert_linear(model: Any, *, mean: npt.ArrayLike | None = None) -> LinearEvaluator:
    """Convert a linear model.

    Parameters
    ----------
    model
        Fitted.
    mean
        Mean of each feature over the training rows, for contributions.

    Raises
    ------
    NotCompilable
        If it gives no probability (``LinearSVC``, ``RidgeClassifier``, an ``SGDClassifier`` with another loss than
        ``log_loss``), predicts several targets, or is of an unknown kind.
    """
    link = _link(model)
    coef, intercept = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64)), np.ravel(model.intercept_)
    if link == "softmax" and coef.shape[0] == 1:
        # Two classes under the multinomial loss, as releases before 1.8 allowed.
        raise NotCompilable("The classifier has one row of coefficients for several classes.")
    if link in ("identity", "exp", "sigmoid") and coef.shape[0] != 1:
        raise NotCompilable(f"The {type(model).__name__} predicts several targets at once.")
    if intercept.size == 1 and coef.shape[0] > 1:
        intercept = np.repeat(intercept, coef.shape[0])
    if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
        raise NotCompilable("The linear model has coefficients that are not finite numbers.")
    return LinearEvaluator(coef, intercept, link, mean=mean)


def _link(model: Any) -> Link:
    kind = type(model).__name__
    if kind in _SUMS:
        return "identity"
    if kind in _EXPONENTIAL:
        return "exp"
    if kind == "TweedieRegressor":
        identity = model.link == "identity" or (model.link == "auto" and model.power <= 0)
        return "identity" if identity else "exp"
    if kind in _LOGISTIC:
        if len(model.classes_) == 2 and getattr(model, "multi_class", "") != "multinomial":
            return "sigmoid"
        return "ovr" if _one_against_rest(model) else "softmax"
    if kind == "SGDClassifier" and model.loss == "log_loss":
        return "sigmoid" if len(model.classes_) == 2 else "ovr"
    if hasattr(model, "classes_"):
        raise NotCompilable(
            f"The {kind} gives no probability{f' with the loss {model.loss!r}' if kind == 'SGDClassifier' else ''}.",
            hint="Use LogisticRegression, or SGDClassifier with loss='log_loss'.",
        )
    raise NotCompilable(f"The linear model {kind} is not compiled.")


def _one_against_rest(model: Any) -> bool:
    """Return whether a classifier of several classes has one probability for each, as it could before 1.8."""
    choice = getattr(model, "multi_class", "auto")
    return choice == "ovr" or (choice in ("auto", "deprecated") and getattr(model, "solver", "") == "liblinear")
