"""From a model and a data set to metrics."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from corpora.arrays import Float32Array
from corpora.examples import Corpus, Example
from corpora.prompts import Task, write_prompts
from evaluation.clips import ClipReader, ReadingOptions
from evaluation.errors import EmptyCorpusError
from evaluation.identification import IDENTIFICATION_TASKS, measure_identification
from evaluation.probing import LabelledVectors, Neighbours
from evaluation.provenance import describe_examples, describe_software
from evaluation.results import ScoreKind, SearchResults, search_corpus
from evaluation.retrieval import number_labels
from evaluation.shots import SHOTS, LearnerOptions, Shots, probe
from evaluation.token_rows import describe_collapse, embed_each_row, find_token_rows
from evaluation.vectors import EmbeddedCorpus
from evaluation.vocabulary import keep_vocabulary
from models.embedding import EmbeddingModel, embed_clips
from poses.features import FeatureOptions, Flip
from poses.trim import Trim

Watch = Callable[[Iterable[Float32Array]], Iterable[Float32Array]]
"""Passes clips through unchanged and follows the progress, for example with a progress bar."""
Labels = Literal["prompts", "decoded"]


@dataclass(frozen=True)
class EvaluationSettings:
    """What is evaluated.

    Attributes:
        task: see corpora.prompts.write_prompts.
        tagged: whether prompts name languages.
        flip, anonymize, trim: see poses.FeatureOptions.
        skip_long: leave out clips that are longer than max_frames instead of cutting them.
        score: how vectors are compared.
        vocabulary: where the texts of the vocabulary come from; None: all texts take part.
        labels: which clips count as having one prompt: those whose ``prompts`` are equal, or those whose prompts are
            equal once the tokenizer has ``decoded`` them, as the authors compare them.
        sign_languages: tags of the clips that take part; empty: all.
    """

    task: Task = "retrieval"
    tagged: bool = True
    flip: Flip = "never"
    anonymize: bool = False
    trim: Trim = "none"
    skip_long: bool = False
    score: ScoreKind = "dot"
    vocabulary: str | None = None
    labels: Labels = "prompts"
    sign_languages: tuple[str, ...] = ()

    def describe(self) -> str:
        """Describe the task and each setting that is not the default; runs differ by it in tables and folders."""
        unusual = {
            "no tags": not self.tagged,
            f"flip {self.flip}": self.flip != "never",
            "anonymized": self.anonymize,
            "trimmed": self.trim == "auto",
            "long clips left out": self.skip_long,
            "in vocabulary": self.vocabulary is not None,
            self.score: self.score != "dot",
            "decoded labels": self.labels == "decoded",
            " ".join(self.sign_languages): bool(self.sign_languages),
        }
        return ", ".join([self.task, *(words for words, applies in unusual.items() if applies)])

    @property
    def feature_options(self) -> FeatureOptions:
        """The changes to each pose before features are computed."""
        return FeatureOptions(flip=self.flip, anonymize=self.anonymize, trim=self.trim)


@dataclass(frozen=True)
class ProbeSettings:
    """Which probes run.

    Attributes:
        names: keys of shots.PROBES.
        shots: numbers of clips a class that each probe learns from.
        seeds: of the draws of clips.
        neighbours: see probing.vote_nearest_clips.
        device: of the probes that are trained, as PyTorch names it.
    """

    names: Sequence[str] = ()
    shots: Sequence[Shots] = SHOTS
    seeds: Sequence[int] = range(5)
    neighbours: Neighbours = "shots"
    device: str = "cpu"


def embed_corpus(
    model: EmbeddingModel,
    corpus: Corpus,
    *,
    settings: EvaluationSettings,
    vocabulary: frozenset[str] | None = None,
    reading: ReadingOptions | None = None,
    watch: Watch = lambda clips: clips,
) -> tuple[EmbeddedCorpus, dict[str, str]]:
    """Embed the clips of a data set, and each of its different prompts once.

    Args:
        settings: which prompts are written and how clips are changed.
        vocabulary: if given, only examples of these texts are embedded.
        reading: the cache and the number of reading processes.
        watch: follows the progress.
    Returns:
        The embeddings; by id, why other examples were left out.
    Raises:
        VocabularyError: no example has a text of the vocabulary.
        EmptyCorpusError: no clip could be embedded.
        TaskError: the task or a sign language does not fit the data set.
    """
    if settings.sign_languages:
        corpus = corpus.select_sign_languages(settings.sign_languages)
    if vocabulary is not None:
        corpus = corpus.select(keep_vocabulary(corpus.examples, vocabulary))
    options = settings.feature_options
    reader = ClipReader(corpus, model.config, options=options, skip_long=settings.skip_long, reading=reading)
    pose = embed_clips(model, watch(reader))
    kept = reader.kept
    if not kept:
        reason = next(iter(reader.skipped.values()), None) or corpus.describe_skipped()
        raise EmptyCorpusError(f"none of {len(corpus)} clips could be embedded: {reason}")
    prompts = write_prompts(model.config.prompt, kept, task=settings.task, tagged=settings.tagged)
    prompt_of, firsts = number_labels(_label_prompts(model, prompts, settings.labels))
    different = [prompts[first] for first in firsts]
    vectors = EmbeddedCorpus(
        ids=np.array([example.id for example in kept]),
        texts=np.array([example.text for example in kept]),
        sign_languages=np.array([example.sign_language or "" for example in kept]),
        pose=pose,
        prompt_of=prompt_of,
        prompts=np.array(different),
        text=embed_each_row(model, different),
    )
    return vectors, reader.skipped


def _label_prompts(model: EmbeddingModel, prompts: Sequence[str], labels: Labels) -> Sequence[str]:
    if labels == "prompts":
        return prompts
    different = list(dict.fromkeys(prompts))
    decoded = dict(zip(different, model.tokenizer.decode(different, max_pieces=model.config.max_pieces), strict=True))
    return [decoded[prompt] for prompt in prompts]


def evaluate(
    model: EmbeddingModel,
    corpus: Corpus,
    *,
    settings: EvaluationSettings,
    vocabulary: frozenset[str] | None = None,
    reading: ReadingOptions | None = None,
    watch: Watch = lambda clips: clips,
) -> tuple[dict[str, Any], EmbeddedCorpus, SearchResults]:
    """Measure how well a model retrieves the clips and prompts of a data set.

    Args:
        settings, vocabulary, reading, watch: see embed_corpus.
    Returns:
        Settings, counts and metrics, ready for JSON; the embeddings; both searches.
    Raises:
        EvaluationError, TaskError: see embed_corpus; or the model's vectors cannot be searched.
    """
    began = time.perf_counter()
    vectors, skipped = embed_corpus(
        model, corpus, settings=settings, vocabulary=vocabulary, reading=reading, watch=watch
    )
    embedded = time.perf_counter()
    is_identified = settings.task in IDENTIFICATION_TASKS
    is_text_known = settings.task == "identification_oracle"
    results = search_corpus(vectors, score=settings.score, is_text_known=is_text_known)
    metrics = {
        "model": model.config.name,
        "digest": model.digest,
        "dtype": model.dtype,
        "dataset": corpus.name,
        "data": describe_examples(_keep_embedded(corpus, vectors)),
        "software": describe_software(),
        "settings": asdict(settings),
        "task": settings.describe(),
        "clips": len(vectors.ids),
        "prompts": len(vectors.prompts),
        "warnings": _find_warnings(model, vectors, results),
        "ties": results.count_ties(),
        "skipped": {note.id: note.reason for note in corpus.skipped} | skipped,
        **results.summarize(vectors.prompt_of),
        "intervals": results.estimate_intervals(vectors.prompt_of),
        "by_sign_language": _measure_by_language(vectors, results),
        **({"identification": measure_identification(vectors, results)} if is_identified else {}),
        "embedding_s": round(embedded - began, 3),
        "search_s": round(time.perf_counter() - embedded, 3),
    }
    return metrics, vectors, results


def run_probes(
    query: EmbeddedCorpus, support: EmbeddedCorpus | None, *, settings: ProbeSettings
) -> list[dict[str, Any]]:
    """Run few-shot and supervised probes. Each prompt is a class.

    Args:
        query: the clips to classify.
        support: the clips to learn from, with the same prompts; None: they are drawn from `query`, and the drawn clips
            are then not classified.
        settings: which probes run.
    Returns:
        One row for each probe and number of shots. Rows without a clip to classify are left out.
    """
    # In the order of their names, as the authors' LabelEncoder numbers them.
    classes = {prompt: number for number, prompt in enumerate(sorted(map(str, query.prompts)))}

    def label(vectors: EmbeddedCorpus) -> LabelledVectors:
        # A prompt that `query` lacks gets a class of its own.
        numbers = np.array([classes.setdefault(str(prompt), len(classes)) for prompt in vectors.prompts])
        return LabelledVectors(vectors.pose, numbers[vectors.prompt_of])

    labelled_query = label(query)
    labelled_support = labelled_query
    if support is not None:
        # As the authors do, probes learn only the classes of the query.
        labelled_support = label(support)
        shared = np.isin(labelled_support.classes, labelled_query.classes)
        labelled_support = labelled_support[np.flatnonzero(shared)]
    rows = [
        probe(
            name,
            labelled_support,
            None if support is None else labelled_query,
            shots=shots,
            seeds=settings.seeds,
            options=LearnerOptions(settings.neighbours, settings.device),
        )
        for name in settings.names
        for shots in settings.shots
    ]
    return [row for row in rows if row is not None]


def _keep_embedded(corpus: Corpus, vectors: EmbeddedCorpus) -> list[Example]:
    ids = set(vectors.ids.tolist())
    return [example for example in corpus.examples if example.id in ids]


def _find_warnings(model: EmbeddingModel, vectors: EmbeddedCorpus, results: SearchResults) -> list[str]:
    prompts = [str(prompt) for prompt in vectors.prompts]
    collapse = describe_collapse(prompts, find_token_rows(model, prompts)[0].tolist())
    return [warning for warning in (collapse, results.describe_ties()) if warning is not None]


def _measure_by_language(vectors: EmbeddedCorpus, results: SearchResults) -> dict[str, dict[str, float]]:
    hits = results.pose_to_text.ranks == 1
    return {
        str(tag): {
            "clips": int((vectors.sign_languages == tag).sum()),
            "R@1": float(hits[vectors.sign_languages == tag].mean()),
        }
        for tag in np.unique(vectors.sign_languages)
    }
