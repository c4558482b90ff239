"""rollouts and windows."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from arkwright.kit.db.policies import application_role, row_level_security

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

SCOPED = (
    "arm_windows",
    "rollout_events",
    "rollouts",
)
APPEND_ONLY = ("audit_logs",)
_ACTIVE = sa.text("state = 'progressing' OR state = 'paused'")


def upgrade() -> None:
    # Before anything refers to it: SQLite changes a table by making it anew.
    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.add_column(sa.Column("spec", sa.JSON(), nullable=False, server_default="{}"))
        batch_op.add_column(sa.Column("revision", sa.Integer(), nullable=False, server_default="1"))
        batch_op.drop_column("canary_version_id")

    op.create_table(
        "arm_windows",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("deployment_id", sa.String(length=40), nullable=False),
        sa.Column("slot", sa.BigInteger(), nullable=False),
        sa.Column("arm", sa.String(length=60), nullable=False),
        sa.Column("model_version_id", sa.String(length=40), nullable=False),
        sa.Column("replica", sa.String(length=80), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("errors", sa.Integer(), nullable=False),
        sa.Column("fallbacks", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("latency_counts", sa.JSON(), nullable=False),
        sa.Column("score_sum", sa.Float(), nullable=False),
        sa.Column("score_squares", sa.Float(), nullable=False),
        sa.Column("compared", sa.Integer(), nullable=False),
        sa.Column("agreed", sa.Integer(), nullable=False),
        sa.Column("difference_sum", sa.Float(), nullable=False),
        sa.Column("blown", sa.Boolean(), nullable=False),
        sa.Column("reports", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint(
            "workspace_id", "deployment_id", "slot", "arm", "model_version_id", "replica", name=op.f("pk_arm_windows")
        ),
    )
    with op.batch_alter_table("arm_windows", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_arm_windows_workspace_id_slot"), ["workspace_id", "slot"], unique=False)

    op.create_table(
        "rollouts",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("deployment_id", sa.String(length=40), nullable=False),
        sa.Column("strategy", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("released", sa.Boolean(), nullable=False),
        sa.Column("arms", sa.JSON(), nullable=False),
        sa.Column("course", sa.JSON(), nullable=False),
        sa.Column("criteria", sa.JSON(), nullable=False),
        sa.Column("baseline_version_id", sa.String(length=40), nullable=False),
        sa.Column("candidate_version_id", sa.String(length=40), nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("decision", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence_id", sa.String(length=40), nullable=True),
        sa.Column("created_by", sa.String(length=60), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("step_started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("assessed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id", "deployment_id"],
            ["deployments.workspace_id", "deployments.id"],
            name=op.f("fk_rollouts_workspace_id_deployment_id"),
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_rollouts")),
    )
    with op.batch_alter_table("rollouts", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_rollouts_workspace_id_deployment_id_id"),
            ["workspace_id", "deployment_id", "id"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_rollouts_workspace_id_state"), ["workspace_id", "state"], unique=False)
        batch_op.create_index(
            "uq_rollouts_active",
            ["workspace_id", "deployment_id"],
            unique=True,
            sqlite_where=_ACTIVE,
            postgresql_where=_ACTIVE,
        )

    op.create_table(
        "rollout_events",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("rollout_id", sa.String(length=40), nullable=False),
        sa.Column("deployment_id", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("traffic_split", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.String(length=60), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "rollout_id"],
            ["rollouts.workspace_id", "rollouts.id"],
            name=op.f("fk_rollout_events_workspace_id_rollout_id"),
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_rollout_events")),
    )
    with op.batch_alter_table("rollout_events", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_rollout_events_workspace_id_deployment_id_id"),
            ["workspace_id", "deployment_id", "id"],
            unique=False,
        )

    with op.batch_alter_table("data_planes", schema=None) as batch_op:
        batch_op.add_column(sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("in_flight", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("queue", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("cpu_percent", sa.Float(), nullable=False, server_default="0"))

    if op.get_bind().dialect.name == "postgresql":
        for statement in [*row_level_security(SCOPED), *application_role(APPEND_ONLY)]:
            op.execute(statement)


def downgrade() -> None:
    with op.batch_alter_table("rollout_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rollout_events_workspace_id_deployment_id_id"))

    op.drop_table("rollout_events")
    with op.batch_alter_table("rollouts", schema=None) as batch_op:
        batch_op.drop_index("uq_rollouts_active", sqlite_where=_ACTIVE, postgresql_where=_ACTIVE)
        batch_op.drop_index(batch_op.f("ix_rollouts_workspace_id_state"))
        batch_op.drop_index(batch_op.f("ix_rollouts_workspace_id_deployment_id_id"))

    op.drop_table("rollouts")
    with op.batch_alter_table("arm_windows", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_arm_windows_workspace_id_slot"))

    op.drop_table("arm_windows")

    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.add_column(sa.Column("canary_version_id", sa.VARCHAR(length=40), nullable=True))
        batch_op.drop_column("revision")
        batch_op.drop_column("spec")

    with op.batch_alter_table("data_planes", schema=None) as batch_op:
        batch_op.drop_column("cpu_percent")
        batch_op.drop_column("queue")
        batch_op.drop_column("in_flight")
        batch_op.drop_column("reported_at")
