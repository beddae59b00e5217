"""The same stages as actor pools on a Ray cluster. This module alone imports Ray.

The driver reads the source and writes the folder, as a run on one machine does. So what was finished is kept whatever
becomes of the cluster, and both kinds of runs may go on in one folder. Between them, actors prepare clips (one core
each) and embed them (one GPU each, where there are GPUs).
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

# Before the import, which reads it: a run reports nothing about itself to anybody.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
import ray.data
import ray.exceptions

from bulk.embedding import BulkModel, Embedded, Origin
from bulk.errors import RayError
from bulk.folder import OutputFolder
from bulk.items import Failure, Item
from bulk.options import EmbedOptions
from bulk.pool import Pool
from bulk.preparation import Task
from bulk.progress import Progress
from bulk.rows import Row
from bulk.running import write_embedded
from models.catalog import ModelConfig
from processes.cores import count_cores, let_threads_sleep

LOCAL = "local"
# Clips and texts of a block: what is done again when an actor is lost.
_CLIPS_A_BLOCK, _TEXTS_A_BLOCK = 32, 1024
# Items that are on the cluster at once, as names and texts: 100 MB. The next ones are read when these are done.
_ITEMS_AT_ONCE = 200_000
# Logical cores beside those of the actors: Ray's own tasks need some, and without them a run would wait for ever.
_SPARE_CORES = 4
_STORE_BYTES = 1024**3
_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class RaySettings:
    """How a run uses a cluster.

    Attributes:
        address: of the cluster; LOCAL starts one on this machine.
        jobs: actors that prepare clips.
        model: name of the model.
        options: of the clips and texts.
        device, dtype: as for the service.
    """

    address: str
    jobs: int
    model: str
    options: EmbedOptions
    device: str = "auto"
    dtype: str = "auto"


class RayRun:
    """Works through items on a cluster.

    Args:
        settings: of the run.
    Raises:
        RayError: the cluster cannot be reached or started.
    """

    def __init__(self, settings: RaySettings) -> None:
        self._settings = settings
        try:
            _connect(settings)
        except Exception as error:  # Ray raises bare ones, too
            raise RayError(f"the Ray cluster {settings.address!r} cannot be used: {error}") from error
        try:
            self._gpus = int(ray.cluster_resources().get("GPU", 0)) if settings.device != "cpu" else 0
            describe = ray.remote(num_cpus=1, num_gpus=min(1, self._gpus))(_describe_model)
            self.origin: Origin
            self.origin, self._config = ray.get(describe.remote(settings))
        except ray.exceptions.RayTaskError as error:
            self.close()
            raise RayError(f"the model cannot be loaded on the cluster: {error.cause}") from error
        except ray.exceptions.RayError as error:
            self.close()
            raise RayError(f"the Ray cluster {settings.address!r} was lost: {error}") from error

    def work(self, items: Iterator[Item], folder: OutputFolder, progress: Progress) -> None:
        """Embed items, and write their rows into a folder.

        Raises:
            BulkError: the source is damaged from some row on, or the cluster was lost.
            OSError: the folder cannot be written to.
        """
        try:
            while part := list(islice(items, _ITEMS_AT_ONCE)):
                self._work_on_part(part, folder, progress)
        except ray.exceptions.RayError as error:
            raise RayError(f"the Ray cluster was lost ({error}); the same command goes on where it stopped") from error

    def close(self) -> None:
        """Disconnect; a cluster that was started here ends."""
        ray.shutdown()

    def _work_on_part(self, part: Sequence[Item], folder: OutputFolder, progress: Progress) -> None:
        usable = []
        for item in part:
            if item.fault:
                folder.add_failure(item, Failure("row_invalid", item.fault))
                progress.count(failed=1)
            else:
                usable.append(item)
        if not usable:
            return
        settings, config = self._settings, self._config.model_dump_json()
        dataset = ray.data.from_arrow(list(_make_blocks(usable)))
        prepared = dataset.map_batches(
            PreparingActor,
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(size=settings.jobs),
            fn_constructor_args=(config, settings.options),
        )
        embedded = prepared.map_batches(
            EmbeddingActor,
            # A GPU is kept busy by more clips than one block has.
            batch_size=8 * _CLIPS_A_BLOCK if self._gpus else None,
            batch_format="pyarrow",
            num_cpus=1,
            num_gpus=1 if self._gpus else 0,
            compute=ray.data.ActorPoolStrategy(size=max(1, self._gpus)),
            fn_constructor_args=(settings,),
        )
        for table in embedded.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1):
            self._write(table, folder, progress)

    def _write(self, table: Any, folder: OutputFolder, progress: Progress) -> None:
        items = [Item(**json.loads(text)) for text in table.column("item").to_pylist()]
        quality = table.column("quality").to_pylist()
        codes, details = table.column("code").to_pylist(), table.column("detail").to_pylist()
        failures = {row: Failure(code, details[row]) for row, code in enumerate(codes) if code}
        packed = table.column("vector").to_pylist()
        dimensions = self.origin.dimensions
        vectors = np.zeros((len(items), dimensions), dtype=np.float32)
        for row, content in enumerate(packed):
            if row not in failures:
                vectors[row] = np.frombuffer(content, dtype=np.float32)
        signatures = {"text": self.origin.text_signature}
        rows = [
            Row(item, signatures.get(item.kind, self.origin.signature), quality[row]) for row, item in enumerate(items)
        ]
        # A block whose actor was lost after it was read comes twice in rare cases.
        fresh = [row for row, item in enumerate(items) if item.id not in folder.done]
        kept = Embedded(vectors[fresh], {place: failures[row] for place, row in enumerate(fresh) if row in failures})
        write_embedded(folder, [rows[row] for row in fresh], kept, progress)


class PreparingActor:
    """Prepares the clips of a block, in a process of its own, so that a clip that crashes it costs one row."""

    def __init__(self, config: str, options: EmbedOptions) -> None:
        self._pool = Pool(ModelConfig.model_validate_json(config), options, jobs=1)

    def __call__(self, table: Any) -> Any:
        """Give each row of a block its features, or why it has none."""
        items = [Item(**json.loads(text)) for text in table.column("item").to_pylist()]
        columns: dict[str, list[Any]] = {
            name: [empty] * len(items)
            for name, empty in (("features", b""), ("quality", ""), ("code", ""), ("detail", ""))
        }
        waiting = [row for row, item in enumerate(items) if item.kind != "text"][::-1]
        while waiting or not self._pool.is_idle:
            while waiting and self._pool.has_room:
                row = waiting.pop()
                self._pool.submit(row, Task(items[row].source, items[row].start_s, items[row].end_s))
            for row, prepared in self._pool.collect(1.0):
                columns["quality"][row] = prepared.quality
                if prepared.features is not None:
                    columns["features"][row] = prepared.features.tobytes()
                if prepared.failure is not None:
                    columns["code"][row], columns["detail"][row] = prepared.failure.code, prepared.failure.detail
        return pa.table({"item": table.column("item"), **_make_arrays(columns)})


class EmbeddingActor:
    """Holds the model, and embeds blocks of prepared clips and of texts."""

    def __init__(self, settings: RaySettings) -> None:
        self._model = _open_model(settings)

    def __call__(self, table: Any) -> Any:
        """Give each row of a block its vector, or why it has none."""
        items = [Item(**json.loads(text)) for text in table.column("item").to_pylist()]
        columns = {name: table.column(name).to_pylist() for name in ("features", "quality", "code", "detail")}
        features = columns.pop("features")
        columns["vector"] = [b""] * len(items)
        clips = [row for row in range(len(items)) if items[row].kind != "text" and not columns["code"][row]]
        texts = [row for row in range(len(items)) if items[row].kind == "text"]
        dim = self._model.config.feature_dim
        shown = [np.frombuffer(features[row], dtype=np.float32).reshape(-1, dim) for row in clips]
        for rows, embedded in (
            (clips, self._model.embed_clips(shown) if clips else None),
            (texts, self._model.embed_texts([items[row] for row in texts]) if texts else None),
        ):
            for place, row in enumerate(rows if embedded is not None else ()):
                failure = embedded.failures.get(place) if embedded is not None else None
                if failure is not None:
                    columns["code"][row], columns["detail"][row] = failure.code, failure.detail
                elif embedded is not None:
                    columns["vector"][row] = embedded.vectors[place].tobytes()
        return pa.table({"item": table.column("item"), **_make_arrays(columns)})


def _connect(settings: RaySettings) -> None:
    common: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False, "configure_logging": False}
    if settings.address == LOCAL:
        paths = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        ray.init(
            address=LOCAL,
            num_cpus=max(count_cores(), settings.jobs + 1) + _SPARE_CORES,
            include_dashboard=False,
            object_store_memory=_STORE_BYTES,
            runtime_env={"env_vars": {"PYTHONPATH": paths}},
            **common,
        )
    else:
        ray.init(address=settings.address, **common)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray").setLevel(logging.ERROR)


def _open_model(settings: RaySettings) -> BulkModel:
    let_threads_sleep()
    return BulkModel(settings.model, settings.options, device=settings.device, dtype=settings.dtype)


def _describe_model(settings: RaySettings) -> tuple[Origin, ModelConfig]:
    """Say how the cluster's machines make vectors, which may have other devices than this one."""
    model = _open_model(settings)
    return model.describe_origin(), model.config


def _make_blocks(items: Sequence[Item]) -> Iterator[Any]:
    """Put items into small blocks, clips and texts apart."""
    for kind, size in (("pose", _CLIPS_A_BLOCK), ("text", _TEXTS_A_BLOCK)):
        chosen = [item for item in items if item.kind == kind]
        for start in range(0, len(chosen), size):
            texts = [json.dumps(asdict(item)) for item in chosen[start : start + size]]
            yield pa.table({"item": pa.array(texts, pa.string())})


def _make_arrays(columns: dict[str, list[Any]]) -> dict[str, Any]:
    # With explicit types, because a block in which nothing failed would get other ones than its neighbours.
    return {
        name: pa.array(values, pa.large_binary() if name in ("features", "vector") else pa.string())
        for name, values in columns.items()
    }
