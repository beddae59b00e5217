"""Protocols of leaderboards: files of configs/protocols that say which clips, prompts, candidates and metrics count."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from corpora.examples import Corpus, Split
from corpora.prompts import Task, write_prompts
from evaluation.errors import ProtocolError
from evaluation.intervals import average_classes, estimate_intervals, score_searches
from evaluation.results import ScoreKind, search_prompts
from evaluation.token_rows import embed_each_row
from evaluation.vectors import EmbeddedCorpus
from models.catalog import CONFIGS
from models.embedding import EmbeddingModel
from processes.yaml_text import YamlError, parse_yaml

PROTOCOLS = CONFIGS.parent / "protocols"


class Protocol(BaseModel):
    """How a leaderboard measures. A clip is named by the nearest prompt of all classes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    source: str = Field(description="where the protocol is published")
    dataset: str = Field(description="a name of corpora.CORPORA")
    split: Split = "test"
    task: Task = "retrieval"
    tagged: bool = True
    classes: int = Field(ge=1, description="candidates, from all parts of the data set")
    clips: int | None = Field(None, ge=1, description="of the split; None: not published")
    metrics: tuple[str, ...] = Field(min_length=1, description="R@k is top-k accuracy, class_R@k its mean over classes")

    def measure(
        self, model: EmbeddingModel, corpus: Corpus, vectors: EmbeddedCorpus, *, score: ScoreKind = "dot"
    ) -> dict[str, Any]:
        """Measure a model by this protocol.

        Args:
            model: whose prompts are embedded.
            corpus: all parts of the data set, for the candidates that no clip of the split has.
            vectors: of the clips of the split, with their prompts.
            score: how vectors are compared, see results.search_corpus.
        Returns:
            The protocol, the numbers of classes and clips with the expected ones, "metrics" and "intervals" (95 %), and
            "warnings" where the numbers differ.
        """
        known = [str(prompt) for prompt in vectors.prompts]
        every = write_prompts(model.config.prompt, corpus.examples, task=self.task, tagged=self.tagged)
        further = list(dict.fromkeys([*known, *every]))[len(known) :]
        text = vectors.text if not further else np.concatenate((vectors.text, embed_each_row(model, further)))
        ranks = search_prompts(vectors.pose, text, vectors.prompt_of, score=score).ranks
        scores = score_searches(ranks)
        values = {name: float(column.mean()) for name, column in scores.items()}
        values |= {f"class_R@{k}": average_classes(scores[f"R@{k}"], vectors.prompt_of) for k in (1, 5, 10)}
        ends = estimate_intervals(ranks, classes=vectors.prompt_of)
        found = {"classes": len(known) + len(further), "clips": len(ranks)}
        expected = {"classes": self.classes, "clips": self.clips}
        return {
            **self.model_dump(include={"name", "title", "source"}),
            **found,
            "expected": expected,
            "metrics": {name: values[name] for name in self.metrics},
            "intervals": {name: ends[name] for name in self.metrics},
            "warnings": [
                f"{found[key]:,} {key}, where {self.name} has {number:,}: this figure is not comparable with others"
                for key, number in expected.items()
                if number is not None and number != found[key]
            ],
        }


def list_protocols(folder: Path = PROTOCOLS) -> list[str]:
    """List the names of all protocols."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def read_protocol(name: str, folder: Path = PROTOCOLS) -> Protocol:
    """Read a protocol by its name.

    Raises:
        ProtocolError: there is none of this name, or its file has another form.
        OSError: the file cannot be read.
    """
    path = folder / f"{name}.yaml"
    if not path.is_file():
        raise ProtocolError(f"there is no protocol {name!r}; use one of {', '.join(list_protocols(folder))}")
    try:
        values = parse_yaml(path.read_text(encoding="utf-8"))
        protocol = Protocol.model_validate({**values, "name": name} if isinstance(values, Mapping) else values)
    except (UnicodeDecodeError, YamlError, ValidationError) as error:
        raise ProtocolError(f"{path} is no protocol: {error}") from error
    _check_metrics(path, protocol.metrics)
    return protocol


def _check_metrics(path: Path, metrics: Sequence[str]) -> None:
    known = {*score_searches(np.array([1])), *(f"class_R@{k}" for k in (1, 5, 10))}
    if unknown := sorted(set(metrics) - known):
        raise ProtocolError(f"{path} has the metrics {unknown}; known are {', '.join(sorted(known))}")
