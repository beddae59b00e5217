"""From a model and a data set to figures."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from corpora.examples import Corpus
from corpora.prompts import Task, write_prompts
from evaluation.clips import ClipReader, Floats, Reading
from evaluation.probing import SHOTS, Labelled, Shots, probe
from evaluation.results import Score, Searched, search
from evaluation.retrieval import number_labels
from evaluation.vectors import EmbeddedCorpus
from evaluation.vocabulary import keep_vocabulary
from models.embedding import EmbeddingModel, embed_clips, embed_prompts
from poses import FeatureOptions

Watch = Callable[[Iterable[Floats]], Iterable[Floats]]
"""Passes clips on and tells somebody, such as a progress bar."""


@dataclass(frozen=True)
class Settings:
    """What an evaluation was asked to do.

    Attributes:
        task: see write_prompts.
        tagged: whether prompts name languages.
        flip, anonymize: see poses.FeatureOptions.
        skip_long: leave clips over max_frames out instead of cutting them.
        score: what ranks answers.
        vocabulary: where the texts that count as known are from; None: all texts count.
    """

    task: Task = "retrieval"
    tagged: bool = True
    flip: Literal["never", "auto", "always"] = "never"
    anonymize: bool = False
    skip_long: bool = False
    score: Score = "dot"
    vocabulary: str | None = None

    def describe(self) -> str:
        """What was asked, and what was not as usual: tells runs apart in tables, plots and folders."""
        unusual = {
            "no tags": not self.tagged,
            f"flip {self.flip}": self.flip != "never",
            "anonymized": self.anonymize,
            "long clips left out": self.skip_long,
            "in vocabulary": self.vocabulary is not None,
            self.score: self.score != "dot",
        }
        return ", ".join([self.task, *(words for words, applies in unusual.items() if applies)])

    @property
    def feature_options(self) -> FeatureOptions:
        return FeatureOptions(flip=self.flip, anonymize=self.anonymize)


@dataclass(frozen=True)
class ProbeSettings:
    """Which probes run.

    Attributes:
        names: keys of probing.PROBES.
        shots: clips a class that they see.
        seeds: of draws.
    """

    names: Sequence[str] = ()
    shots: Sequence[Shots] = SHOTS
    seeds: Sequence[int] = range(5)


def embed_corpus(
    model: EmbeddingModel,
    corpus: Corpus,
    settings: Settings,
    *,
    vocabulary: frozenset[str] | None = None,
    reading: Reading | None = None,
    watch: Watch = lambda clips: clips,
) -> tuple[EmbeddedCorpus, dict[str, str]]:
    """Embed a data set's clips, and each of its different prompts once.

    Args:
        vocabulary: keep only examples of these texts.
    Returns:
        the vectors; examples that could not be read, by id, and why.
    Raises:
        ValueError: nothing is left to embed, or the task does not fit the data.
    """
    if vocabulary is not None:
        corpus = corpus.select(keep_vocabulary(corpus.examples, vocabulary))
    options = settings.feature_options
    reader = ClipReader(corpus, model.config, options, skip_long=settings.skip_long, reading=reading)
    pose = embed_clips(model, watch(reader))
    kept = reader.kept
    if not kept:
        reason = next(iter(reader.skipped.values()), "there are no examples")
        raise ValueError(f"none of {len(corpus)} clips could be embedded: {reason}")
    prompts = write_prompts(model.config.prompt, kept, task=settings.task, tagged=settings.tagged)
    prompt_of, firsts = number_labels(prompts)
    different = [prompts[first] for first in firsts]
    vectors = EmbeddedCorpus(
        ids=np.array([example.id for example in kept]),
        texts=np.array([example.text for example in kept]),
        sign_languages=np.array([example.sign_language or "" for example in kept]),
        pose=pose,
        prompt_of=prompt_of,
        prompts=np.array(different),
        text=embed_prompts(model, different),
    )
    return vectors, reader.skipped


def evaluate(
    model: EmbeddingModel,
    corpus: Corpus,
    settings: Settings,
    *,
    vocabulary: frozenset[str] | None = None,
    reading: Reading | None = None,
    watch: Watch = lambda clips: clips,
) -> tuple[dict[str, Any], EmbeddedCorpus, Searched]:
    """Score a model on a data set.

    Returns:
        metrics: settings, counts and figures, ready for JSON; the vectors; both searches.
    Raises:
        ValueError: see embed_corpus.
    """
    began = time.perf_counter()
    vectors, skipped = embed_corpus(model, corpus, settings, vocabulary=vocabulary, reading=reading, watch=watch)
    embedded = time.perf_counter()
    searched = search(vectors, score=settings.score)
    metrics = {
        "model": model.config.name,
        "digest": model.digest,
        "dtype": model.dtype,
        "dataset": corpus.name,
        "settings": asdict(settings),
        "task": settings.describe(),
        "clips": len(vectors.ids),
        "prompts": len(vectors.prompts),
        "skipped": {note.id: note.reason for note in corpus.skipped} | skipped,
        **searched.summarize(vectors.prompt_of),
        "by_sign_language": _by_language(vectors, searched),
        "embedding_s": round(embedded - began, 3),
        "search_s": round(time.perf_counter() - embedded, 3),
    }
    return metrics, vectors, searched


def run_probes(asked: EmbeddedCorpus, known: EmbeddedCorpus | None, settings: ProbeSettings) -> list[dict[str, Any]]:
    """Run few-shot and supervised probes; a class is what has one prompt.

    Args:
        asked: clips to name.
        known: clips to learn from, of the same prompts; None: drawn from `asked`, which are then not asked.
    Returns:
        a row for each probe and number of shots; those with nothing left to ask are left out.
    """
    classes = {str(prompt): number for number, prompt in enumerate(asked.prompts)}

    def label(vectors: EmbeddedCorpus) -> Labelled:
        # Prompts that `asked` lacks get numbers of their own: their clips may mislead, as they may the authors'.
        numbers = np.array([classes.setdefault(str(prompt), len(classes)) for prompt in vectors.prompts])
        return Labelled(vectors.pose, numbers[vectors.prompt_of])

    asked_labelled = label(asked)
    support = asked_labelled if known is None else label(known)
    if known is not None:
        # As the authors: only classes that the test asks for are learned.
        support = support[np.flatnonzero(np.isin(support.classes, asked_labelled.classes))]
    rows = [
        probe(name, support, None if known is None else asked_labelled, shots=shots, seeds=settings.seeds)
        for name in settings.names
        for shots in settings.shots
    ]
    return [row for row in rows if row is not None]


def _by_language(vectors: EmbeddedCorpus, searched: Searched) -> dict[str, dict[str, float]]:
    hits = searched.pose_to_text.ranks == 1
    return {
        str(tag): {
            "clips": int((vectors.sign_languages == tag).sum()),
            "R@1": float(hits[vectors.sign_languages == tag].mean()),
        }
        for tag in np.unique(vectors.sign_languages)
    }
