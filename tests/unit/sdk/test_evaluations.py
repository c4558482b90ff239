"""Evaluations from Python: of a model that was just trained, on a table in memory."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from arkwright.core.errors import Invalid, NotFound
from arkwright.sdk import Client

pytestmark = pytest.mark.xdist_group("sdk")
TELCO = Path(__file__).parents[3] / "examples" / "telco_churn.csv"


def test_a_version_is_evaluated_on_a_table_in_memory(client: Client) -> None:
    rows = pd.read_csv(TELCO)
    model = client.train(rows.head(600), target="Churn", budget=120, name="weighed", config={"hpo": {"max_trials": 2}})
    seen: list[str] = []
    found = client.evaluations.run(
        model="weighed",
        version=model.number,
        data=rows.iloc[3000:3200],
        sensitive=["gender", "tenure"],
        sensitive_bins={"tenure": (12, 36)},
        profile="quick",
        on_progress=lambda job: seen.append(job["message"]),
    )
    assert (found["model_version_id"], found["basis"], found["n_rows_used"]) == (model.version["id"], "given", 200)
    assert {item["column"] for item in found["disparities"]} >= {"gender", "tenure"}
    assert seen[-1] == f"weighed 1.0.0: {found['decision']}."
    assert [item["id"] for item in client.evaluations.list(model.version["id"])] == [found["id"]]
    document = client.evaluations.document(found["id"])
    assert document["verdict"]["decision"] == found["decision"]
    assert client.evaluations.signed_card(found["id"])["payloadType"] == "application/vnd.in-toto+json"


def test_a_version_has_to_be_named_once(client: Client) -> None:
    with pytest.raises(Invalid, match="one model version"):
        client.evaluations.create(model="weighed", model_version_id="mv_1")
    with pytest.raises(NotFound):
        client.evaluations.get("ev_01jn0000000000000000000000")
