"""Models as people save them with MLflow, answered as they answer themselves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from arkwright.bundles import (
    GeneralInput,
    fit_baseline,
    load_bundle,
    rows_to_columns,
    write_general_bundle,
)
from arkwright.bundles import GeneralModel as ModelSpec
from arkwright.bundles.model_process import GeneralScorer
from arkwright.contracts import Column, Signature
from arkwright.serving.general import GeneralModel

# MLflow's own, about type hints and requirements, as it is imported and saves.
pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.filterwarnings("ignore::FutureWarning")]

COLUMNS = (Column(name="age", kind="numeric"), Column(name="plan", kind="categorical"))
INPUTS = (GeneralInput(name="age", dtype="float64"), GeneralInput(name="plan", dtype="text"))
ROWS = [
    {"age": age, "plan": plan} for age in (None, -1e30, 0, 17.5, 40, 2**60) for plan in (None, "a", "b", "unseen", "")
]

PYTHON_MODEL = """
import mlflow
import pandas as pd

class Doubled(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        with open(context.artifacts["offset"]) as file:
            self.offset = float(file.read())

    def predict(self, context, model_input, params=None):
        return model_input["age"].fillna(0.0) * 2 + self.offset

mlflow.models.set_model(Doubled())
"""


def signature(task, classes=()):
    return Signature(task=task, target="y", columns=COLUMNS, classes=classes)


def write(folder: Path, model_folder: Path, of: Signature, **spec) -> tuple[Path, str]:
    n_scores = len(of.classes) if of.task == "multiclass" else 1
    columns = rows_to_columns(ROWS, of)
    digest = write_general_bundle(
        folder,
        signature=of,
        general=ModelSpec(inputs=INPUTS, **spec),
        model_folder=model_folder,
        reason="It is made for a test.",
        baseline=fit_baseline(of, columns, np.full((len(ROWS), n_scores), 0.5)),
        example_rows=ROWS[:3],
        learner="custom",
    )
    return folder, digest


def answered(bundle, rows, of):
    """Ask each row as a caller of its own, and all of them as one, online and as a table."""

    async def play():
        model = GeneralModel(*bundle, of)
        await model.start()
        try:
            one = await model.predict_rows_async(rows, with_scores=True, timeout_seconds=30)
            each = await asyncio.gather(
                *(model.predict_rows_async([row], with_scores=True, timeout_seconds=30) for row in rows)
            )
        finally:
            await model.close()
        assert [answers[0] for answers in each] == one
        return one

    online = asyncio.run(play())
    with GeneralScorer(*bundle, of) as scorer:
        assert scorer.predict_rows(rows, with_scores=True) == online
        table = scorer.answer_columns(rows_to_columns(rows, of))
    for name, values in table.items():
        assert values.tolist() == [answer[name] for answer in online]
    return online


@pytest.fixture(scope="module")
def frame():
    generator = np.random.default_rng(0)
    plan = np.array(["a", "b", "c", np.nan], dtype=object)[generator.integers(0, 4, 400)]
    age = np.where(generator.random(400) < 0.1, np.nan, generator.normal(40, 12, 400))
    return pd.DataFrame({"age": age, "plan": plan})


def pipeline():
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    columns = ColumnTransformer([("age", SimpleImputer(), ["age"]), ("plan", texts, ["plan"])])
    return make_pipeline(columns, RandomForestClassifier(10, random_state=0))


def as_trained(rows):
    """Return rows as pandas had them in training: what is missing is NaN, also among texts."""
    return pd.DataFrame(rows, columns=["age", "plan"]).astype({"age": "float64"}).fillna({"plan": np.nan})


@pytest.mark.parametrize("classes", [("no", "yes"), ("high", "low", "middle")])
def test_a_scikit_learn_pipeline_answers_its_own_probabilities(tmp_path, frame, classes):
    target = np.array(classes)[(np.nan_to_num(frame["age"]) // 20 % len(classes)).astype(int)]
    fitted = pipeline().fit(frame, target)
    mlflow.sklearn.save_model(
        fitted, tmp_path / "saved", serialization_format="cloudpickle", pip_requirements=["scikit-learn"]
    )
    of = signature("binary" if len(classes) == 2 else "multiclass", classes)
    order = tuple(fitted.classes_.tolist().index(name) for name in classes)
    bundle = write(
        tmp_path / "bundle",
        tmp_path / "saved",
        of,
        loader="pickle",
        path="model.pkl",
        method="predict_proba",
        class_columns=order,
    )
    assert load_bundle(*bundle).compiled is None
    own = fitted.predict_proba(as_trained(ROWS))[:, order]
    for answer, scores in zip(answered(bundle, ROWS, of), own.tolist(), strict=True):
        if len(classes) == 2:
            assert answer == {"label": classes[scores[1] >= 0.5], "score": scores[1]}
        else:
            best = int(np.argmax(scores))
            assert answer == {
                "label": classes[best],
                "score": scores[best],
                "scores": dict(zip(classes, scores, strict=True)),
            }


def test_a_python_function_with_files_of_its_own_answers(tmp_path):
    (tmp_path / "model.py").write_text(PYTHON_MODEL)
    (tmp_path / "offset.txt").write_text("0.25")
    mlflow.pyfunc.save_model(
        tmp_path / "saved",
        python_model=str(tmp_path / "model.py"),
        artifacts={"offset": str(tmp_path / "offset.txt")},
        pip_requirements=["pandas"],
    )
    (tmp_path / "offset.txt").unlink()
    of = signature("regression")
    bundle = write(tmp_path / "bundle", tmp_path / "saved", of, loader="mlflow", method="predict")
    rows = [row for row in ROWS if row["age"] is None or abs(row["age"]) < 1e18]
    assert [answer["value"] for answer in answered(bundle, rows, of)] == [
        0.25 if row["age"] is None else row["age"] * 2 + 0.25 for row in rows
    ]
