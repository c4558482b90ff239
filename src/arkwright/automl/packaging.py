"""From a refitted model to a bundle on disk, if what would serve matches what was trained."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import msgspec

from arkwright.automl.problem import ProblemFolder
from arkwright.automl.refit import read_final_model
from arkwright.bundles import Predictor, fit_baseline, measure_parity, to_rows, write_bundle
from arkwright.contracts import Signature
from arkwright.core.errors import ArkwrightError

N_EXAMPLES = 3
_RECORDED = ("arkwright", "numpy", "lightgbm", "scikit-learn")


class PackagingFailed(Exception):
    """What would serve is not what was trained, or cannot be stored."""


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that was written, and how closely its row path matched the training library."""

    digest: str
    parity_rows: int
    parity_difference: float


def package(
    folder: ProblemFolder,
    name: str,
    out: Path,
    *,
    signature: Signature,
    learner: str,
    lineage: Mapping[str, str],
    created_by: str,
) -> Package:
    """Measure parity on the holdout and write the bundle.

    The monitoring baseline is fitted on the training rows; its predictions are the holdout's.

    Raises
    ------
    PackagingFailed
        If the compiled predictor does not match, or the parts do not fit together.
    """
    encoder, evaluator, library_scores = read_final_model(folder, name)
    holdout = folder.inputs(folder.holdout_rows())
    training = folder.inputs(folder.training_rows())
    examples = to_rows({column: values[:N_EXAMPLES] for column, values in training.items()})
    try:
        predictor = Predictor(signature, encoder, evaluator)
        parity = measure_parity(predictor, holdout, library_scores)
        if not parity.passed:
            raise PackagingFailed(
                f"the compiled predictor differs from the trained model by {parity.max_abs_difference:.3g} "
                f"on {parity.n_rows} rows, more than the {parity.tolerance:.3g} allowed"
            )
        digest = write_bundle(
            out,
            signature=signature,
            encoder=encoder,
            estimator=evaluator,
            baseline=fit_baseline(signature, training, predictor.predict_columns(holdout)),
            example_rows=examples,
            learner=learner,
            parity=parity,
            lineage=lineage,
            environment=environment(),
            created_by=created_by,
        )
    except ArkwrightError as error:
        if error.status >= 500:
            raise
        raise PackagingFailed(error.detail) from error
    return Package(digest=digest, parity_rows=parity.n_rows, parity_difference=parity.max_abs_difference)


def environment() -> dict[str, str]:
    """Return the versions a bundle was made with."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}".lower(),
        **{name: metadata.version(name) for name in _RECORDED},
    }
