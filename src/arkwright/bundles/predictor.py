"""Answer rows and tables.

A signature, an encoder and an evaluator put together: the part of a bundle that a data plane runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import Columns, FloatArray
from arkwright.bundles.encoder import Encoder
from arkwright.bundles.evaluators import Evaluator
from arkwright.bundles.validation import InstanceValidator, check_columns
from arkwright.contracts import Signature
from arkwright.core.errors import Invalid

POSITIVE_THRESHOLD = 0.5
"""A binary score at or above it is labelled positive."""


class Predictor:
    """A model that answers.

    Parameters
    ----------
    signature
        What goes in and what comes out.
    encoder
        From a row or a table to vectors.
    evaluator
        From vectors to scores.

    Raises
    ------
    Invalid
        If the three do not fit together.
    """

    def __init__(self, signature: Signature, encoder: Encoder, evaluator: Evaluator) -> None:
        n_scores = len(signature.classes) if signature.task == "multiclass" else 1
        if encoder.n_outputs != evaluator.n_features or evaluator.n_outputs != n_scores:
            raise Invalid(
                f"The encoder gives {encoder.n_outputs} features and the evaluator takes {evaluator.n_features}; "
                f"it gives {evaluator.n_outputs} scores and the signature needs {n_scores}.",
                code="bundle.mismatch",
                hint="Use the encoder that the estimator was trained with, and the signature of the same task.",
            )
        if signature.task == "binary" and len(signature.classes) != 2:
            raise Invalid(
                f"A binary signature has two classes, this one has {len(signature.classes)}.",
                code="bundle.mismatch",
                hint="List the negative class first and the positive one second.",
            )
        self.signature = signature
        self.encoder = encoder
        self.evaluator = evaluator
        self._validator = InstanceValidator(signature)
        self._echoed = signature.identifiers
        answers: dict[str, Callable[[list[float], bool], dict[str, Any]]] = {
            "binary": self._binary,
            "multiclass": self._multiclass,
            "regression": self._regression,
        }
        self._answer = answers[signature.task]

    def __reduce__(self) -> Any:
        return Predictor, (self.signature, self.encoder, self.evaluator)

    def predict_rows(self, rows: list[dict[str, Any]], *, with_scores: bool = False) -> list[dict[str, Any]]:
        """Check rows of JSON values and answer each in the shape of the wire.

        Parameters
        ----------
        rows
            The request's instances.
        with_scores
            For multiclass, add every class's probability as ``scores``, by the class's text.

        Returns
        -------
        list of dict
            The identifiers a row carried, then ``label`` and ``score`` (binary: of the positive class; multiclass:
            of the label), or ``value``. An identifier of one of these names gives way to the prediction.

        Raises
        ------
        PredictionInvalid
            If an instance does not fit the signature.
        """
        self._validator.check(rows)
        encode, scores_row, answer = self.encoder.encode_row, self.evaluator.scores_row, self._answer
        predictions = []
        for row in rows:
            prediction = {name: row[name] for name in self._echoed if name in row}
            prediction.update(answer(scores_row(encode(row)), with_scores))
            predictions.append(prediction)
        return predictions

    def predict_row(self, row: dict[str, Any], *, with_scores: bool = False) -> dict[str, Any]:
        """Check and answer one row."""
        return self.predict_rows([row], with_scores=with_scores)[0]

    def validate(self, instances: object) -> None:
        """Raise ``PredictionInvalid`` if a request's instances do not fit the signature."""
        self._validator.check(instances)

    def scores_row(self, row: Mapping[str, Any]) -> list[float]:
        """Return the scores of one row that passed validation."""
        return self.evaluator.scores_row(self.encoder.encode_row(row))

    def predict_columns(self, columns: Columns) -> FloatArray:
        """Score a table.

        Returns
        -------
        FloatArray
            Of shape (n_rows, 1) for binary (the positive class's probability) and regression (the value), of shape
            (n_rows, n_classes) for multiclass.

        Raises
        ------
        PredictionInvalid
            If a required column is missing or of another type.
        """
        check_columns(self.signature, columns)
        return self.evaluator.scores_matrix(self.encoder.encode_columns(columns))

    def answer_columns(self, columns: Columns) -> dict[str, npt.NDArray[Any]]:
        """Score a table and return the answer's columns: ``label`` (object) and ``score``, or ``value``."""
        return self.answer_scores(self.predict_columns(columns))

    def answer_scores(self, scores: FloatArray) -> dict[str, npt.NDArray[Any]]:
        """Turn scores as ``predict_columns`` returns them into the answer's columns."""
        if self.signature.task == "regression":
            return {"value": scores[:, 0]}
        classes = np.empty(len(self.signature.classes), dtype=object)
        classes[:] = self.signature.classes
        if self.signature.task == "binary":
            return {"label": classes[(scores[:, 0] >= POSITIVE_THRESHOLD).astype(np.intp)], "score": scores[:, 0]}
        best = scores.argmax(axis=1)
        return {"label": classes[best], "score": scores[np.arange(best.size), best]}

    def _binary(self, scores: list[float], with_scores: bool) -> dict[str, Any]:  # noqa: ARG002 - one shape of answer
        return {"label": self.signature.classes[scores[0] >= POSITIVE_THRESHOLD], "score": scores[0]}

    def _multiclass(self, scores: list[float], with_scores: bool) -> dict[str, Any]:
        score = max(scores)
        answer: dict[str, Any] = {"label": self.signature.classes[scores.index(score)], "score": score}
        if with_scores:
            answer["scores"] = dict(zip(map(str, self.signature.classes), scores, strict=True))
        return answer

    def _regression(self, scores: list[float], with_scores: bool) -> dict[str, Any]:  # noqa: ARG002 - see above
        return {"value": scores[0]}
