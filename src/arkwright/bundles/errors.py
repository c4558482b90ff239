"""What can be wrong with a bundle, or with what is asked of it.

::

    Invalid
    ├── PredictionInvalid     prediction.invalid     a request does not fit the signature
    ├── BundleCorrupt         bundle.corrupt         a file is not what the manifest says
    │   └── BundleTooNew      bundle.too_new         written by a later release
    ├── BundleNotCompiled     bundle.not_compiled    it answers through a child process only
    ├── NotCompilable         model.not_compilable   a fitted model has a part that cannot be compiled
    └── ContributionsUnavailable  explanation.unavailable  a model's answer is not a sum of features' shares
    Unavailable
    └── EvaluatorUnavailable  evaluator.unavailable  the native library is not installed
    ArkwrightError
    ├── EvaluatorFailed       evaluator.failed       the native library refused a model or a row
    ├── ModelFailed           model.failed           a model in a child process raised an error for a row
    └── ModelTimeout          model.timeout          a model in a child process took too long
"""

from __future__ import annotations

from typing import ClassVar

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


class BundleNotCompiled(Invalid):
    """A bundle has no compiled predictor: its model answers in a child process."""

    code = "bundle.not_compiled"


class NotCompilable(Invalid):
    """A fitted model has a part that cannot be compiled; the message names it, and the general path serves it."""

    code = "model.not_compilable"


class ContributionsUnavailable(Invalid):
    """A model's answer is not a sum of what each feature added, so there is nothing exact to show."""

    code = "explanation.unavailable"


class WrongInputType(NotCompilable):
    """A pipeline was fitted on another type of column than was assumed; ``wanted`` says which."""

    def __init__(self, column: str, wanted: str, detail: str) -> None:
        super().__init__(detail)
        self.column, self.wanted = column, wanted


class EvaluatorUnavailable(Unavailable):
    """The native library that evaluates this kind of model cannot be loaded."""

    code = "evaluator.unavailable"


class EvaluatorFailed(ArkwrightError):
    """The native library refused a model or a row."""

    code = "evaluator.failed"


class ModelFailed(ArkwrightError):
    """A model that answers in a child process raised an error; ``errors`` names the rows."""

    code = "model.failed"
    title = "The model failed"


class ModelTimeout(ArkwrightError):
    """A model that answers in a child process took longer than the request allows."""

    code = "model.timeout"
    title = "The model took too long"
    status: ClassVar[int] = 504
    exit_code: ClassVar[int] = 7


class CellRefused(PredictionInvalid):
    """A cell that the compiled pipeline refuses, as its original does: an unknown level, a missing number.

    Raised below the place where the row's number is known; :meth:`at` adds it.
    """

    def __init__(self, column: str, message: str) -> None:
        super().__init__(
            f"{column!r} {message}.",
            errors=[{"field": column, "message": message}],
            hint="The pipeline that this model was compiled from raises an error for it too.",
        )
        self.column, self.message = column, message

    def at(self, index: int) -> PredictionInvalid:
        """Return the error with the row's number in the field's path."""
        field = f"instances[{index}].{self.column}"
        return PredictionInvalid(
            f"{field} {self.message}.", errors=[{"field": field, "message": self.message}], hint=self.hint
        )
