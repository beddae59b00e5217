"""Checks what the folder of an evaluation holds before tables and plots believe it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corpora.arrays import Int64Array
from evaluation.errors import RunFolderError
from evaluation.vectors import EmbeddedCorpus

DIRECTIONS = ("pose_to_text", "text_to_pose")
_NAMES, _COUNTS = ("model", "dataset", "split", "task"), ("clips", "prompts")
_PROBE_KEYS = ("probe", "shots", "clips", "classes", "by_seed", "mean", "spread")


def check_metrics(path: Path, metrics: object) -> dict[str, Any]:
    """Check that metrics have the form that tables read.

    Args:
        path: of their file, for errors.
        metrics: what the file holds.
    Returns:
        The metrics.
    Raises:
        RunFolderError: they lack a key, or a value has another form.
    """
    if not isinstance(metrics, dict):
        raise _make_error(path, f"it holds {_name_kind(metrics)}, not an object")
    missing = [key for key in ("experiment", *_NAMES, *_COUNTS, *DIRECTIONS) if key not in metrics]
    if missing:
        raise RunFolderError(f"{path} lacks {', '.join(missing)}; evaluate the model again")
    _require(path, "experiment", metrics["experiment"], "a text or null", _is_optional_text)
    for key in _NAMES:
        _require(path, key, metrics[key], "a text", _is_text)
    for key in _COUNTS:
        _require(path, key, metrics[key], "a whole number", _is_count)
    for key in DIRECTIONS:
        _require(path, key, metrics[key], "an object of numbers", _is_numbers)
    intervals = metrics.get("intervals", {})
    _require(path, "intervals", intervals, "an object", _is_object)
    for direction, ends in intervals.items():
        _require(path, f"intervals.{direction}", ends, "an object of pairs of numbers", _is_pairs)
    probes = metrics.get("probes", [])
    _require(path, "probes", probes, "a list", lambda value: isinstance(value, list))
    for number, probe in enumerate(probes):
        _check_probe(path, f"probes[{number}]", probe)
    return metrics


def _check_probe(path: Path, name: str, probe: object) -> None:
    if not isinstance(probe, dict):
        raise _make_error(path, f"{name} is {_name_kind(probe)}, not an object")
    missing = [key for key in _PROBE_KEYS if key not in probe]
    if missing:
        raise _make_error(path, f"{name} lacks {', '.join(missing)}")
    _require(path, f"{name}.by_seed", probe["by_seed"], "an object", _is_object)
    for key in ("mean", "spread"):
        _require(path, f"{name}.{key}", probe[key], "an object of numbers", _is_numbers)
    _require(path, f"{name}.interval", probe.get("interval", {}), "an object of pairs of numbers", _is_pairs)


def check_arrays(
    folder: Path, vectors: EmbeddedCorpus, *, clip_ranks: Int64Array, named: Int64Array, text_ranks: Int64Array
) -> None:
    """Check that the arrays of a run fit each other.

    Args:
        folder: of the run, for errors.
        vectors: the embedded data set.
        clip_ranks, named: int64 (clips,), ranks from 1, and rows of prompts.
        text_ranks: int64 (prompts,), ranks from 1.
    Raises:
        RunFolderError: they do not.
    """
    clips, prompts = vectors.ids.shape, vectors.prompts.shape
    of_clips = (vectors.texts, vectors.sign_languages, vectors.prompt_of, clip_ranks, named)
    fits = len(clips) == len(prompts) == 1
    fits = fits and all(array.shape == clips for array in of_clips) and text_ranks.shape == prompts
    width = vectors.pose.shape[1:]
    fits = fits and len(width) == 1 and (vectors.pose.shape, vectors.text.shape) == (clips + width, prompts + width)
    if not fits:
        raise _make_error(folder, "its arrays have different lengths")
    words = (vectors.ids, vectors.texts, vectors.sign_languages, vectors.prompts)
    numbers = (vectors.pose, vectors.text)
    rows = (vectors.prompt_of, named, clip_ranks, text_ranks)
    if [array.dtype.kind for array in (*words, *numbers, *rows)] != [*"UUUU", *"ff", *"iiii"]:
        raise _make_error(folder, "an array has another kind of values")
    for array, (least, most) in zip(
        rows, ((0, prompts[0] - 1), (0, prompts[0] - 1), (1, prompts[0]), (1, clips[0])), strict=True
    ):
        _check_range(folder, array, least, most)


def _check_range(folder: Path, array: npt.NDArray[np.int64], least: int, most: int) -> None:
    if array.size and not least <= int(array.min()) <= int(array.max()) <= most:
        raise _make_error(folder, f"a rank or a row is not from {least} to {most}")


def _require(path: Path, key: str, value: object, form: str, has_form: Callable[[object], bool]) -> None:
    if not has_form(value):
        raise _make_error(path, f"{key} is {_name_kind(value)}, not {form}")


def _make_error(path: Path, problem: str) -> RunFolderError:
    return RunFolderError(f"{path} is damaged: {problem}; evaluate the model again")


def _name_kind(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else repr(value)[:64]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_optional_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_numbers(value: object) -> bool:
    """Check for an object of numbers; null stands for one that could not be measured."""
    return isinstance(value, dict) and all(one is None or _is_number(one) for one in value.values())


def _is_pairs(value: object) -> bool:
    return isinstance(value, dict) and all(
        ends is None or (isinstance(ends, list) and len(ends) == 2 and all(map(_is_number, ends)))
        for ends in value.values()
    )
