"""What the commands ask, whether the work is done here or by a service."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from corpora.examples import Example
from search.annotations import Find

OnProgress = Callable[[int, int], None]
"""Called with what is done, and what there is to do."""


@dataclass(frozen=True)
class Question:
    """What is looked for in a recording.

    Attributes:
        queries: texts; empty: the glosses of a collection are looked for.
        collection: its name; None: texts are looked for.
        sign_language: of the texts' prompts.
        threshold: least score of a find; None: chosen by rate.
        rate: share of windows without a sign that may reach the threshold.
    """

    queries: Sequence[str]
    collection: str | None
    sign_language: str | None
    threshold: float | None
    rate: float


class Dictionary(Protocol):
    """Collections of clips, here or in a service. Answers have the form of the service's JSON."""

    def open_collection(self, name: str, clips: Sequence[Example]) -> set[str]:
        """Create a collection if need be, and return which ids of the clips it holds already.

        Raises:
            DictionaryError, SearchError: it cannot be created or read, or it is of another space.
        """
        ...

    def store(self, name: str, clips: Sequence[Example]) -> dict[str, str]:
        """Embed clips and store them; return why some were not, by id.

        Raises:
            DictionaryError, SearchError: the collection cannot be written.
        """
        ...

    def search(self, name: str, *, clip: Path | None, text: str | None, sign_language: str | None, k: int) -> Any:
        """Search a collection by a clip or a text: the hits, and for a clip what it is.

        Raises:
            DictionaryError, SearchError: the collection cannot be searched, or the clip cannot be read.
        """
        ...

    def report(self, name: str, method: str) -> Any:
        """Report how well a collection tells its glosses apart.

        Raises:
            DictionaryError, SearchError: the collection cannot be read, or has no clips with a gloss.
        """
        ...

    def spot(self, recording: Path, question: Question, on_progress: OnProgress) -> list[Find]:
        """Find signs in a recording of any length.

        Raises:
            DictionaryError, SearchError, PoseError: the recording cannot be read, or nothing can be looked for.
        """
        ...
