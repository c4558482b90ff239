"""The compiled predictor as an MLflow model, from code."""

from __future__ import annotations

from typing import Any

import mlflow
from answers import load


class Compiled(mlflow.pyfunc.PythonModel):
    def load_context(self, context: Any) -> None:  # noqa: ARG002
        self._predict = load()

    def predict(self, context: Any, model_input: Any, params: Any = None) -> list[dict[str, Any]]:  # noqa: ARG002
        frame = model_input.astype(object).where(model_input.notna(), None)
        return self._predict(frame.to_dict("records"))


mlflow.models.set_model(Compiled())
