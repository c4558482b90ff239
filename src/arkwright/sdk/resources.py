"""Everything a platform has, by kind of thing."""

from __future__ import annotations

from arkwright.sdk.batches import Batches
from arkwright.sdk.datasets import Datasets
from arkwright.sdk.deployments import Deployments
from arkwright.sdk.evaluations import Evaluations
from arkwright.sdk.experiments import Experiments
from arkwright.sdk.governance import ApiKeys, Audit, Projects, list_evidence, read_lineage
from arkwright.sdk.jobs import Jobs
from arkwright.sdk.models import Models
from arkwright.sdk.monitoring import Alerts, Monitors
from arkwright.sdk.predictions import Predictions, Rows
from arkwright.sdk.transport import Items, Transport
from arkwright.sdk.types import Evidence, LineageGraph, PredictResponse, WhoAmI


class Resources:
    """One attribute per kind of thing, over one connection pool."""

    def __init__(self, transport: Transport) -> None:
        self._api = transport
        self._predictions = Predictions(transport)
        self.datasets = Datasets(transport)
        self.experiments = Experiments(transport)
        self.models = Models(transport)
        self.evaluations = Evaluations(transport)
        self.deployments = Deployments(transport)
        self.batches = Batches(transport)
        self.monitors = Monitors(transport)
        self.alerts = Alerts(transport)
        self.jobs = Jobs(transport)
        self.audit = Audit(transport)
        self.api_keys = ApiKeys(transport)
        self.projects = Projects(transport)

    def whoami(self) -> WhoAmI:
        """Return who the key stands for."""
        found: WhoAmI = self._api.get("/v1/whoami")
        return found

    def predict(self, deployment: str, instances: Rows) -> PredictResponse:
        """Score one row, several, or a table, with a deployment named by id or name.

        Raises
        ------
        Invalid
            With one entry in ``errors`` per field that the model cannot take.
        """
        return self._predictions.predict(deployment, instances)

    def lineage(self, entity_type: str, entity_id: str) -> LineageGraph:
        """Return everything upstream and downstream of a thing, such as a ``model_version``."""
        return read_lineage(self._api, entity_type, entity_id)

    def evidence(self, bundle_digest: str, *, kind: str = "") -> Items[Evidence]:
        """Return the evidence that cites a bundle's digest, oldest first."""
        return list_evidence(self._api, bundle_digest, kind)
