"""A compiled bundle as a model that answers on the event loop."""

from __future__ import annotations

from typing import Any

from arkwright.bundles import Predictor


class CompiledModel:
    """Answers with a bundle's predictor.

    Parameters
    ----------
    predictor
        Of a verified bundle.
    """

    inline = True

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        # Bound once, and not wrapped: this is the path of every request.
        self.predict_rows = predictor.predict_rows
        self.read_row = predictor.row_reader().read
        self.answer_row = predictor.answer_row

    async def predict_rows_async(
        self, rows: list[dict[str, Any]], *, with_scores: bool = False, timeout_seconds: float
    ) -> list[dict[str, Any]]:
        """Answer at once; a compiled model is never slow enough to be timed."""
        del timeout_seconds
        return self._predictor.predict_rows(rows, with_scores=with_scores)

    def explain_rows(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return what each column added to each row's score."""
        return self._predictor.explain_rows(rows)

    async def start(self) -> None:
        """Do nothing: it is ready once it is built."""

    async def close(self) -> None:
        """Do nothing: memory goes with the last reference."""
