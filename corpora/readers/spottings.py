"""Files of sign spottings, as BOBSL publishes them: when which word was spotted in which episode, and how surely."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpora.errors import RowError
from corpora.readers.faults import describe_no_table
from models.checkpoints.pickle_machine import Placeholder, read_pickle

_COLUMNS = ("episode_name", "annot_word", "annot_time", "annot_prob")


@dataclass(frozen=True)
class Spotting:
    """A word that was spotted in an episode.

    Attributes:
        time_s: of the spotting, in the episode.
        probability: that the word is signed there; 1 if the file does not say.
    """

    word: str
    episode: str
    time_s: float
    probability: float


def read_spottings(path: Path, parts: Mapping[str, str]) -> Iterator[tuple[str, Spotting]]:
    """Read the spottings of a file, each with its part of the data set.

    Args:
        path: JSON, part → word → {names, global_times, probs}; or a pickle with columns episode_name, annot_word,
            annot_time and annot_prob. Nothing in the pickle is executed.
        parts: the part of each episode, which only pickles need. Episodes that it lacks are left out.
    Raises:
        RowError: the file has another form. Its line is the number of the spotting in the file.
    """
    number = 0
    spottings = _read_columns(path, parts) if path.suffix == ".pkl" else _read_json(path)
    for number, (part, word, episode, time_s, probability) in enumerate(spottings, start=1):
        if not (isinstance(word, str) and isinstance(episode, str)):
            raise RowError(path, number, f"the word {word!r} of episode {episode!r} is no text")
        try:
            time_s, probability = float(time_s), float(probability)
        except (TypeError, ValueError):
            time_s = math.nan
        if not math.isfinite(time_s):
            raise RowError(path, number, f"the time or the probability of {word!r} is no number")
        yield part, Spotting(word, episode.removesuffix(".mp4"), time_s, probability)
    if not number:
        raise RowError(path, 1, "the file has no spottings")


def _read_json(path: Path) -> Iterator[tuple[str, Any, Any, Any, Any]]:
    try:
        content = json.loads(path.read_bytes())
        for part, words in content.items():
            for word, found in words.items():
                times = found["global_times"]
                probabilities = found.get("probs") or [1.0] * len(times)
                for row in zip(found["names"], times, probabilities, strict=True):
                    yield part, word, *row
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        problem = describe_no_table(path) or f"the file is no JSON of spottings: {error}"
        raise RowError(path, getattr(error, "lineno", 1), problem) from None


def _read_columns(path: Path, parts: Mapping[str, str]) -> Iterator[tuple[str, Any, Any, Any, Any]]:
    def refuse(*_: object) -> Placeholder:
        return Placeholder()

    try:
        content = read_pickle(path.read_bytes(), call=refuse, persistent=refuse)
    except (ValueError, LookupError, TypeError) as error:
        raise RowError(path, 1, f"the file is no pickle: {error}") from None
    columns = [content.get(name) for name in _COLUMNS] if isinstance(content, dict) else [None]
    if not all(isinstance(column, list) for column in columns) or len({len(column or ()) for column in columns}) > 1:
        raise RowError(
            path,
            1,
            f"the pickle is not a dictionary of equally long plain lists {', '.join(_COLUMNS)}; write such lists, or "
            "JSON as in BOBSL 1.2",
        )
    for episode, word, time_s, probability in zip(*columns, strict=True):
        part = parts.get(str(episode).removesuffix(".mp4"))
        if part is not None:
            # A spotting may name several words of one meaning.
            for one in word if isinstance(word, list | tuple) else (word,):
                yield part, one, episode, time_s, probability
