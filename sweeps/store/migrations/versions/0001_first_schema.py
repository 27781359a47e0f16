"""The first schema: sweeps, trials, pictures, priors, outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create all tables."""
    _create_sweeps()
    _create_trials()
    _create_pictures()
    _create_trial_details()
    _create_priors()
    _create_outbox()


def downgrade() -> None:
    """Drop all tables, those that refer to others first."""
    for table in (
        "outbox",
        "priors",
        "sweep_images",
        "trial_pictures",
        "curves",
        "image_metrics",
        "pictures",
        "trials",
        "sweeps",
    ):
        op.drop_table(table)


def _create_sweeps() -> None:
    op.create_table(
        "sweeps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("spec_yaml", sa.String(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("metric_names", sa.JSON(), nullable=False),
        sa.Column("metric_goals", sa.JSON(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("trials_planned", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.Column("startup_s", sa.Double(), nullable=True),
        sa.Column("mlflow_run_id", sa.String(64), nullable=True),
        sa.Column("verdict", sa.JSON(), nullable=True),
        sa.Column("lease_holder", sa.String(200), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(), nullable=True),
        sa.Column("fencing_token", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sweeps"),
        sa.UniqueConstraint("name", name="uq_sweeps_name"),
    )


def _create_trials() -> None:
    op.create_table(
        "trials",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sweep_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("baseline", sa.String(100), nullable=True),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("raw_parameters", sa.JSON(), nullable=False),
        sa.Column("distributions", sa.JSON(), nullable=False),
        sa.Column("sampler_attributes", sa.JSON(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("objective", sa.Double(), nullable=True),
        sa.Column("objectives", sa.JSON(), nullable=True),
        sa.Column("metrics", sa.JSON(), nullable=True),
        sa.Column("asked_at", sa.DateTime(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=True),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.Column("finish_order", sa.Integer(), nullable=True),
        sa.Column("queue_s", sa.Double(), nullable=True),
        sa.Column("compute_s", sa.Double(), nullable=True),
        sa.Column("iterations", sa.Integer(), nullable=True),
        sa.Column("device", sa.String(100), nullable=True),
        sa.Column("worker", sa.String(200), nullable=True),
        sa.Column("pack", sa.String(64), nullable=True),
        sa.Column("failure", sa.String(), nullable=True),
        sa.Column("mlflow_run_id", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_trials"),
        sa.ForeignKeyConstraint(["sweep_id"], ["sweeps.id"], name="fk_trials_sweep_id", ondelete="CASCADE"),
        sa.UniqueConstraint("sweep_id", "number", name="uq_trials_sweep_id_number"),
    )
    op.create_index("ix_trials_sweep_state", "trials", ["sweep_id", "state"])
    op.create_index("ix_trials_sweep_objective", "trials", ["sweep_id", "objective"])
    op.create_index("ix_trials_sweep_finish", "trials", ["sweep_id", "finish_order"], unique=True)


def _create_pictures() -> None:
    op.create_table(
        "pictures",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("png", sa.LargeBinary(), nullable=False),
        sa.Column("thumbnail", sa.LargeBinary(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_pictures"),
    )
    op.create_table(
        "sweep_images",
        sa.Column("sweep_id", sa.Integer(), nullable=False),
        sa.Column("image", sa.String(500), nullable=False),
        sa.Column("split", sa.String(20), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("sweep_id", "image", "split", name="pk_sweep_images"),
        sa.ForeignKeyConstraint(["sweep_id"], ["sweeps.id"], name="fk_sweep_images_sweep_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["sha256"], ["pictures.sha256"], name="fk_sweep_images_sha256"),
    )
    op.create_index("ix_sweep_images_sha256", "sweep_images", ["sha256"])


def _create_trial_details() -> None:
    op.create_table(
        "trial_pictures",
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("image", sa.String(500), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("trial_id", "image", "step", name="pk_trial_pictures"),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name="fk_trial_pictures_trial_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["sha256"], ["pictures.sha256"], name="fk_trial_pictures_sha256"),
    )
    op.create_index("ix_trial_pictures_sha256", "trial_pictures", ["sha256"])
    op.create_table(
        "image_metrics",
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("image", sa.String(500), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("trial_id", "image", "name", name="pk_image_metrics"),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name="fk_image_metrics_trial_id", ondelete="CASCADE"),
    )
    op.create_table(
        "curves",
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("image", sa.String(500), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("trial_id", "image", "name", name="pk_curves"),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name="fk_curves_trial_id", ondelete="CASCADE"),
    )


def _create_priors() -> None:
    op.create_table(
        "priors",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("family", sa.String(50), nullable=False),
        sa.Column("description", sa.JSON(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_priors"),
    )


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sweep_id", sa.Integer(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("delivered_at", sa.DateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.ForeignKeyConstraint(["sweep_id"], ["sweeps.id"], name="fk_outbox_sweep_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name="fk_outbox_trial_id", ondelete="CASCADE"),
    )
    op.create_index("ix_outbox_pending", "outbox", ["delivered_at", "id"])
    op.create_index("ix_outbox_sweep_id", "outbox", ["sweep_id"])
    op.create_index("ix_outbox_trial_id", "outbox", ["trial_id"])
