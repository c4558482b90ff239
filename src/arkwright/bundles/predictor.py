"""Answer rows and tables.

A signature, an encoder and an evaluator put together: the part of a bundle that a data plane runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from arkwright.bundles.answers import Answers
from arkwright.bundles.cells import Columns, FloatArray
from arkwright.bundles.encoder import Encoder
from arkwright.bundles.errors import CellRefused
from arkwright.bundles.evaluators import Evaluator
from arkwright.bundles.typed_rows import RowReader, TypedRow
from arkwright.bundles.validation import InstanceValidator, check_columns
from arkwright.contracts import Signature
from arkwright.core.errors import Invalid


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
        self._answers = Answers(signature)
        self._answer = self._answers.of_row

    def row_reader(self) -> RowReader:
        """Return what reads a request of one row from its bytes; made once for each process that serves."""
        return RowReader(self.signature, self.encoder.kernels, self.encoder.n_outputs)

    def answer_row(self, typed: TypedRow) -> dict[str, Any]:
        """Answer a row that was read, as ``predict_rows`` answers it."""
        answer = self._answer(self.evaluator.scores_row(typed.vector), False)
        return {**typed.echoed, **answer} if typed.echoed else answer

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
        predictions: list[dict[str, Any]] = []
        try:
            for row in rows:
                prediction = {name: row[name] for name in self._echoed if name in row}
                prediction.update(answer(scores_row(encode(row)), with_scores))
                predictions.append(prediction)
        except CellRefused as refused:
            raise refused.at(len(predictions)) from None
        return predictions

    def explain_rows(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Say for each row what each input column added to the raw score.

        Returns
        -------
        list of dict
            ``prediction`` as ``predict_rows`` answers it; ``contributions`` by column, which with ``base_value`` add up
            to the raw score of the label (binary: of the positive class); ``scale`` names what turns that into the
            score: ``identity``, ``sigmoid``, ``softmax``, ``ovr``, ``exp`` or ``other``.

        Raises
        ------
        PredictionInvalid
            If an instance does not fit the signature.
        ContributionsUnavailable
            If the model's score is no sum of its features' shares.
        """
        predictions = self.predict_rows(rows)
        columns, sources = [column.name for column in self.signature.columns], self.encoder.source_columns
        explained = []
        for row, prediction in zip(rows, predictions, strict=True):
            shares = self.evaluator.contributions_row(self.encoder.encode_row(row))
            multiclass = self.signature.task == "multiclass"
            own = shares[self.signature.classes.index(prediction["label"]) if multiclass else 0]
            contributions = dict.fromkeys(columns, 0.0)
            for source, share in zip(sources, own, strict=False):  # the last share is the base value
                contributions[source] += share
            explained.append(
                {
                    "prediction": prediction,
                    "base_value": own[-1],
                    "contributions": contributions,
                    "scale": self.evaluator.link,
                }
            )
        return explained

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

    def contributions_columns(self, columns: Columns) -> FloatArray:
        """Say for each row of a table what each input column added to the raw scores.

        Returns
        -------
        FloatArray
            Of shape (n_rows, n_outputs, n_columns + 1), the columns as in the signature; the last entry is the
            expected raw score, and the sum of a row's entries is its raw score. What an encoder made of one column
            (indicators, parts of a moment) is added up.

        Raises
        ------
        PredictionInvalid
            If a required column is missing or of another type.
        ContributionsUnavailable
            If the model's score is no sum of its features' shares.
        """
        check_columns(self.signature, columns)
        shares = self.evaluator.contributions_matrix(self.encoder.encode_columns(columns))
        place = {column.name: index for index, column in enumerate(self.signature.columns)}
        folded = np.zeros((*shares.shape[:2], len(place) + 1))
        for feature, source in enumerate(self.encoder.source_columns):
            folded[:, :, place[source]] += shares[:, :, feature]
        folded[:, :, -1] = shares[:, :, -1]
        return folded

    def answer_columns(self, columns: Columns) -> dict[str, npt.NDArray[Any]]:
        """Score a table and return the answer's columns: ``label`` (object) and ``score``, or ``value``."""
        return self.answer_scores(self.predict_columns(columns))

    def answer_scores(self, scores: FloatArray) -> dict[str, npt.NDArray[Any]]:
        """Turn scores as ``predict_columns`` returns them into the answer's columns."""
        return self._answers.of_scores(scores)
