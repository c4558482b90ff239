"""The models in memory, by the digest of their bundle.

A model is loaded once however many arms, deployments and plans name it, and it is warm before anybody is sent to it: it
has answered its bundle's example rows. Disk and processor work happens in threads of the pool, child processes are
awaited; nothing here holds up the event loop. A model that nobody names any more is closed, which lets the requests
that are still with it end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from arkwright.bundles import LoadedBundle
from arkwright.core.errors import ArkwrightError, Unavailable
from arkwright.kit.logging import get_logger
from arkwright.serving.compiled import CompiledModel
from arkwright.serving.ports import ServableModel
from arkwright.serving.store import BundleStore

GeneralFactory = Callable[[LoadedBundle], ServableModel]

_WARM_UP_SECONDS = 60.0
_THREADS = 2
# A process that has imported pandas and scikit-learn.
_PROCESS_BYTES = 200_000_000

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready to answer."""

    bundle: LoadedBundle
    feature_names: tuple[str, ...]
    model: ServableModel

    @property
    def size_bytes(self) -> int:
        """About what it takes in memory: its files, or a process."""
        files_bytes = sum(file.size_bytes for file in self.bundle.manifest.files)
        return files_bytes if self.model.inline else files_bytes + _PROCESS_BYTES


class ModelPool:
    """Loads, keeps and lets go of models.

    Parameters
    ----------
    store
        Where bundles come from.
    general
        Makes the model of a bundle that was not compiled; without it such a bundle is refused.
    """

    def __init__(self, store: BundleStore, general: GeneralFactory | None = None) -> None:
        self._store = store
        self._general = general
        self._loaded: dict[str, Loaded] = {}
        self._loading: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, str] = {}
        self._closing: dict[asyncio.Task[None], str] = {}
        self._threads = ThreadPoolExecutor(_THREADS, "arkwright-load")

    def get(self, digest: str) -> Loaded | None:
        """Return a model that is ready."""
        return self._loaded.get(digest)

    def failure(self, digest: str) -> str:
        """Return why a model could not be loaded at the last attempt, or an empty string."""
        return self._failed.get(digest, "")

    def load(self, workspace_id: str, digest: str, uri: str) -> asyncio.Task[None]:
        """Begin to load a model, unless that is already under way; the task never fails, see :meth:`failure`."""
        task = self._loading.get(digest)
        if task is None:
            task = self._loading[digest] = asyncio.create_task(self._load(workspace_id, digest, uri))
        return task

    def note_late(self, digest: str, waited_seconds: float) -> None:
        """Say why a model that is still being loaded is not there; the loading goes on."""
        self._failed[digest] = f"it is still being loaded after {waited_seconds:.0f} s"

    def affordable(self, digests: Sequence[str], max_bytes: int) -> set[str]:
        """Return those of some models in memory, in their order, that together take no more than so much."""
        kept = set()
        for digest in digests:
            loaded = self._loaded.get(digest)
            if loaded is not None and loaded.size_bytes <= max_bytes:
                max_bytes -= loaded.size_bytes
                kept.add(digest)
        return kept

    async def preload(self, digests: Sequence[str], max_bytes: int) -> None:
        """Load compiled models that lie on this disk, in their order, as long as together they take no more."""
        for digest in digests:
            loaded = self._loaded.get(digest)
            if loaded is None and digest not in self._loading:
                loaded = await self._in_thread(self._read_small, digest, max_bytes)
                if loaded is not None:
                    self._loaded.setdefault(digest, loaded)
            if loaded is not None:
                max_bytes -= loaded.size_bytes

    def retain(self, digests: Collection[str]) -> None:
        """Let go of every other model, and forget every other failure."""
        keep = set(digests)
        for digest in [digest for digest in self._loading if digest not in keep]:
            self._loading.pop(digest).cancel()
        for digest in [digest for digest in self._loaded if digest not in keep]:
            model = self._loaded.pop(digest).model
            if not model.inline:
                task = asyncio.create_task(_close(model))
                self._closing[task] = digest
                task.add_done_callback(self._closing.pop)
        for digest in [digest for digest in self._failed if digest not in keep]:
            del self._failed[digest]

    def digests(self) -> set[str]:
        """Return what is in memory, or on its way there or out: what needs its folder."""
        return {*self._loaded, *self._loading, *self._closing.values()}

    async def close(self) -> None:
        """Let go of everything."""
        tasks = list(self._loading.values())
        self.retain(())
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._closing:
            await asyncio.wait(self._closing)
        self._threads.shutdown(wait=True)

    async def _load(self, workspace_id: str, digest: str, uri: str) -> None:
        try:
            loaded = await self._in_thread(self._read, workspace_id, digest, uri)
            if not loaded.model.inline:
                await _begin(loaded)
            self._loaded[digest] = loaded
            self._failed.pop(digest, None)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one bundle must not stop the others
            detail = error.detail if isinstance(error, ArkwrightError) else f"{type(error).__name__}: {error}"
            self._failed[digest] = detail
            log.warning("bundle cannot be served", digest=digest, detail=detail)
        finally:
            if self._loading.get(digest) is asyncio.current_task():
                del self._loading[digest]

    def _read(self, workspace_id: str, digest: str, uri: str) -> Loaded:
        """Fetch and verify a bundle, and build what can be built in this process; runs in a thread."""
        return self._build(self._store.load(workspace_id, digest, uri))

    def _read_small(self, digest: str, max_bytes: int) -> Loaded | None:
        bundle = self._store.load_local(digest, max_bytes)
        if bundle is None or bundle.manifest.predictor != "compiled":
            return None
        try:
            return self._build(bundle)
        except Exception as error:  # noqa: BLE001 - it is not needed now
            log.info("bundle for a rollback cannot be loaded", digest=digest, reason=str(error))
            return None

    def _build(self, bundle: LoadedBundle) -> Loaded:
        names = tuple(column.name for column in bundle.signature.columns)
        if bundle.manifest.predictor == "general":
            if self._general is None:
                raise Unavailable(
                    "This data plane serves compiled models only.",
                    code="model.general",
                    hint="Start it with the general predictor enabled.",
                )
            return Loaded(bundle, names, self._general(bundle))
        model = CompiledModel(bundle.predictor)
        # The first calls fill caches and prove that the predictor answers at all.
        model.predict_rows(list(bundle.example_rows))
        return Loaded(bundle, names, model)

    async def _in_thread(self, function: Callable[..., Any], *given: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *given)


async def _begin(loaded: Loaded) -> None:
    """Start a model that runs elsewhere, and warm it up."""
    model = loaded.model
    try:
        await model.start()
        if loaded.bundle.example_rows:
            await model.predict_rows_async(list(loaded.bundle.example_rows), timeout_seconds=_WARM_UP_SECONDS)
    except BaseException:
        await model.close()
        raise


async def _close(model: ServableModel) -> None:
    try:
        await model.close()
    except Exception as error:
        log.exception("model could not be closed", reason=str(error))
