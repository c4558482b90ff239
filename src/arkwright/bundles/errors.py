"""What can be wrong with a bundle, or with what is asked of it.

::

    Invalid
    ├── PredictionInvalid     prediction.invalid     a request does not fit the signature
    └── BundleCorrupt         bundle.corrupt         a file is not what the manifest says
        └── BundleTooNew      bundle.too_new         written by a later release
    Unavailable
    └── EvaluatorUnavailable  evaluator.unavailable  the native library is not installed
    ArkwrightError
    └── EvaluatorFailed       evaluator.failed       the native library refused a model or a row
"""

from __future__ import annotations

from arkwright.core.errors import ArkwrightError, Invalid, Unavailable


class PredictionInvalid(Invalid):
    """A request's instances do not fit the model's signature; ``errors`` names each field."""

    code = "prediction.invalid"


class BundleCorrupt(Invalid):
    """A bundle is not what its digest or its manifest says."""

    code = "bundle.corrupt"


class BundleTooNew(BundleCorrupt):
    """A bundle was written in a format that this release does not know."""

    code = "bundle.too_new"


class EvaluatorUnavailable(Unavailable):
    """The native library that evaluates this kind of model cannot be loaded."""

    code = "evaluator.unavailable"


class EvaluatorFailed(ArkwrightError):
    """The native library refused a model or a row."""

    code = "evaluator.failed"
