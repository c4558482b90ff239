"""The events that leave the platform, by their CloudEvents ``type``.

A producer puts an :class:`Event` into the outbox in the commit that made it true; consumers
de-duplicate by ``id``. The envelope follows CloudEvents 1.0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from arkwright.core.clock import isoformat

DATASET_VERSION_CREATED = "data.dataset.version_created.v1"
EXPERIMENT_FINISHED = "automl.experiment.finished.v1"
EVALUATION_FILED = "ml.evaluation.filed.v1"
MODEL_VERSION_REGISTERED = "ml.model.registered.v1"
MODEL_PROMOTED = "ml.model.promoted.v1"
MODEL_STAGE_CHANGED = "ml.model.stage_changed.v1"
DEPLOYMENT_CREATED = "ml.deployment.created.v1"
DEPLOYMENT_CHANGED = "ml.deployment.changed.v1"
DEPLOYMENT_ROLLOUT_STARTED = "ml.deployment.rollout_started.v1"
DEPLOYMENT_ROLLOUT_STEP = "ml.deployment.rollout_step.v1"
DEPLOYMENT_PROMOTED = "ml.deployment.promoted.v1"
DEPLOYMENT_ROLLED_BACK = "ml.deployment.rolled_back.v1"
CREDENTIALS_CHANGED = "access.credentials.changed.v1"
ALERT_RAISED = "ml.monitoring.alert_raised.v1"
INFERENCE_USAGE = "ml.inference.usage.v1"

ALL_TYPES = (
    DATASET_VERSION_CREATED,
    EXPERIMENT_FINISHED,
    EVALUATION_FILED,
    MODEL_VERSION_REGISTERED,
    MODEL_PROMOTED,
    MODEL_STAGE_CHANGED,
    DEPLOYMENT_CREATED,
    DEPLOYMENT_CHANGED,
    DEPLOYMENT_ROLLOUT_STARTED,
    DEPLOYMENT_ROLLOUT_STEP,
    DEPLOYMENT_PROMOTED,
    DEPLOYMENT_ROLLED_BACK,
    CREDENTIALS_CHANGED,
    ALERT_RAISED,
    INFERENCE_USAGE,
)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    id: str
    type: str
    subject: str
    workspace_id: str
    time: datetime
    data: dict[str, Any] = field(default_factory=dict)

    def cloudevent(self) -> dict[str, Any]:
        """Return the CloudEvents 1.0 JSON envelope."""
        return {
            "specversion": "1.0",
            "id": self.id,
            "type": self.type,
            "source": f"/arkwright/workspaces/{self.workspace_id}",
            "subject": self.subject,
            "time": isoformat(self.time),
            "datacontenttype": "application/json",
            "data": self.data,
        }
