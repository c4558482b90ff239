"""The client: one object per platform, one attribute per kind of thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from arkwright.core.ids import is_id
from arkwright.core.units import parse_duration_seconds
from arkwright.sdk.connection import Connection, find_connection
from arkwright.sdk.jobs import OnProgress
from arkwright.sdk.resources import Resources
from arkwright.sdk.training import TrainedModel, Training
from arkwright.sdk.transport import Transport
from arkwright.sdk.types import LoginLink
from arkwright.sdk.upload import Source, default_name

if TYPE_CHECKING:
    import httpx


class Client(Resources):
    """A platform, from Python.

    Answers are plain dictionaries, typed in :mod:`arkwright.sdk.types`; failures are the errors of
    :mod:`arkwright.core.errors`, of the class the platform raised. Safe to use from several threads. Close it, or use
    it as a context manager.

    Parameters
    ----------
    base_url, token
        The platform's address and an API key. Left out, they come from ``ARKWRIGHT_URL`` and ``ARKWRIGHT_API_KEY``, or
        from the platform that was last started on this machine.
    home
        Instead: the data folder of a platform on this machine.
    timeout_seconds
        How long one answer may take. Long work is a job, and jobs are waited for separately.
    transport
        Replaces the network, for tests.

    Examples
    --------
    ::

        from arkwright.sdk import Client

        with Client() as client:
            model = client.train("telco_churn.csv", target="Churn", budget="60s")
            model.promote()
            endpoint = model.deploy()
            client.predict(endpoint["id"], {"tenure": 12, "Contract": "Two year", ...})
    """

    def __init__(
        self,
        base_url: str | None = None,
        token: str | None = None,
        *,
        home: Path | str | None = None,
        timeout_seconds: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.connection: Connection = find_connection(base_url, token, home=home)
        self._transport = Transport(self.connection, timeout_seconds=timeout_seconds, handler=transport)
        super().__init__(self._transport)

    @property
    def base_url(self) -> str:
        """The platform's address."""
        return self.connection.url

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def login_link(self) -> str:
        """Return a link that signs a browser in, once, within ten minutes."""
        link: LoginLink = self._transport.post("/v1/auth/login-links", again=False)
        return self.base_url + link["url_path"]

    def train(
        self,
        source: Source,
        *,
        target: str,
        budget: str | float = 60,
        name: str = "",
        on_progress: OnProgress | None = None,
        **options: Any,
    ) -> TrainedModel:
        """Train a model that predicts a column, and wait for it.

        Parameters
        ----------
        source
            A file, bytes, a table in memory, or the id of a dataset (``ds_...``).
        target
            The column to predict.
        budget
            A hard limit of the training's time, such as ``"60s"`` or ``"5m"``; a number is seconds.
        name
            Name of the model; by default from the data's and the target's.
        on_progress
            Called with the job (first the ingest's, then the training's) whenever it has news.
        **options
            As of :meth:`start_training`.
        """
        training = self.start_training(
            source, target=target, budget=budget, name=name, on_progress=on_progress, **options
        )
        return training.wait(on_progress=on_progress)

    def start_training(
        self,
        source: Source,
        *,
        target: str,
        budget: str | float = 60,
        name: str = "",
        objective: str = "",
        task: str = "auto",
        types: Mapping[str, str] | None = None,
        ignore: Sequence[str] = (),
        na_values: Sequence[str] = (),
        dataset_version: int | None = None,
        config: Mapping[str, Any] | None = None,
        definition: Mapping[str, Any] | None = None,
        on_progress: OnProgress | None = None,
    ) -> Training:
        """Ingest a table if need be, start a training on it, and return without waiting for the training.

        Parameters
        ----------
        objective
            Such as ``maximize_f1``; empty: by task.
        task
            ``auto``, ``binary``, ``multiclass``, ``classification`` or ``regression``.
        types
            Column to kind of feature, where inference would be wrong.
        ignore
            Columns to leave out.
        na_values
            Texts that mean "missing", for a source that is ingested.
        config
            More of the experiment's configuration, as of :meth:`Experiments.create`.
        definition
            What the model is to show, as of :meth:`Experiments.create`.
        """
        budget_seconds = parse_duration_seconds(budget)
        if isinstance(source, str) and is_id("dataset", source):
            dataset_id = source
        else:
            ingest = self.datasets.ingest(source, name=default_name(source), na_values=na_values)
            job = self.jobs.wait(ingest["job_id"], on_progress=on_progress)
            result = job.get("result") or {}
            dataset_id, dataset_version = result["dataset_id"], result["number"]
        settings: dict[str, Any] = {"budget_seconds": budget_seconds, **(config or {})}
        if types:
            settings["feature_types"] = dict(types)
        if ignore:
            settings["ignore_columns"] = list(ignore)
        if name:
            settings["model_name"] = name
        created = self.experiments.create(
            dataset_id=dataset_id,
            dataset_version=dataset_version,
            target=target,
            name=name,
            task_type=task,
            objective=objective,
            config=settings,
            definition=definition,
        )
        accepted = self.experiments.run(created["experiment_id"])
        return Training(self, experiment_id=created["experiment_id"], job_id=accepted["job_id"])
