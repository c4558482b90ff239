"""Write the models that ``mlflow models serve`` loads: ``python save_mlflow.py MODEL_FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
import mlflow

folder = Path(sys.argv[1])
pipeline = joblib.load(folder / "pipeline.joblib")
mlflow.sklearn.save_model(
    pipeline, folder / "mlflow-pipeline", pyfunc_predict_fn="predict_proba", serialization_format="cloudpickle"
)
mlflow.pyfunc.save_model(
    folder / "mlflow-compiled",
    python_model=str(Path(__file__).with_name("mlflow_model.py")),
    pip_requirements=[],
)
