"""A dictionary without a service: the model in this process, the store of the service's settings."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from corpora.clip_files import read_pose
from corpora.examples import Example
from dictionary.embedding import Embedder
from dictionary.errors import SourceError
from dictionary.interface import OnProgress, Question
from dictionary.packing import pack_pose
from dictionary.sources import list_clips
from models.vectors import Vectors
from poses.quality import report as report_quality
from poses.recordings import RecordingFile
from poses.windows import Window, extract_windows, plan_windows
from search.annotations import Find
from search.bank_report import report
from search.banks import Bank, build_bank
from search.classifiers import AnswerRules, Classifier, build_bank_classifier, build_text_classifier
from search.entries import MAX_POSE_BYTES, Entry, check_entry
from search.errors import BankError, EntryInvalidError, SpaceMismatchError
from search.interface import SearchOptions, Store
from search.spotter import Spotter

_WINDOWS_AT_ONCE = 128


class LocalDictionary:
    """Collections of a store, and the model that makes their vectors.

    Args:
        store: it is closed by its owner.
        embedder: the model.
    """

    def __init__(self, store: Store, embedder: Embedder) -> None:
        self._store, self._embedder = store, embedder

    def open_collection(self, name: str, clips: Sequence[Example]) -> set[str]:
        """See Dictionary.open_collection."""
        config = self._embedder.config
        self._store.create_collection(name, space=self._embedder.space, dimensions=config.embed_dim)
        return set(self._store.read_columns(name).ids) & {clip.id for clip in clips}

    def store(self, name: str, clips: Sequence[Example]) -> dict[str, str]:
        """See Dictionary.store."""
        embedded = self._embedder.embed_clips(clips)
        entries, failures = [], dict(embedded.failures)
        for clip, vector in zip(embedded.kept, embedded.vectors, strict=True):
            entry = _build_entry(clip, vector, self._embedder)
            try:
                check_entry(entry, space=entry.space, dimensions=len(vector))
                entries.append(entry)
            except EntryInvalidError as error:
                failures[clip.id] = str(error)
        if entries:
            self._store.upsert(name, entries)
        return failures

    def search(self, name: str, *, clip: Path | None, text: str | None, sign_language: str | None, k: int) -> Any:
        """See Dictionary.search."""
        self._check_space(name)
        vector = self._embed_query(clip, text, sign_language)
        [hits] = self._store.search(name, vector, SearchOptions(k=k))
        answer: dict[str, Any] = {"hits": [asdict(hit) for hit in hits]}
        if clip is not None and any(hit.gloss for hit in hits):
            bank = self._read_bank(name)
            texts = self._embedder.embed_texts(bank.classes, sign_language=sign_language)
            classifier = build_bank_classifier(bank, "blend", background=self._read_background(), texts=texts)
            found = classifier.classify(vector, AnswerRules())[0]
            answer["classified"] = asdict(found.decision)
        return answer

    def report(self, name: str, method: str) -> Any:
        """See Dictionary.report."""
        found = report(self._read_bank(name), cast("Literal['prototype', 'neighbours', 'probe']", method))
        recall = {f"R@{cut}": share for cut, share in found.recall.items()}
        return {**asdict(found), "recall": recall, "method": method}

    def spot(self, recording: Path, question: Question, on_progress: OnProgress) -> list[Find]:
        """See Dictionary.spot. The file is read in parts, and of each window only its score is kept."""
        config = self._embedder.config
        spotter = Spotter(self._build_classifier(question), threshold=question.threshold, rate=question.rate)
        with RecordingFile(recording) as opened:
            plan = plan_windows(opened.frames, opened.fps, max_frames=config.max_frames)
            windows, done = extract_windows(opened, plan, config.features), 0
            while batch := list(islice(windows, _WINDOWS_AT_ONCE)):
                self._score(spotter, batch)
                done += len(batch)
                on_progress(done, len(plan))
            return spotter.find(opened.fps)

    def _score(self, spotter: Spotter, windows: Sequence[Window]) -> None:
        shown = [(window.start, window.stop, window.features) for window in windows if window.features is not None]
        if shown:
            vectors = self._embedder.model.embed_pose([features for _, _, features in shown], normalize=False)
            spotter.add(np.array([[start, stop] for start, stop, _ in shown], dtype=np.int64), vectors)

    def _build_classifier(self, question: Question) -> Classifier:
        if question.collection is not None:
            self._check_space(question.collection)
            return self._build_bank_classifier(question.collection)
        texts = self._embedder.embed_texts(question.queries, sign_language=question.sign_language)
        return build_text_classifier(texts, question.queries, background=self._read_background())

    def _build_bank_classifier(self, name: str) -> Classifier:
        return build_bank_classifier(self._read_bank(name), "prototype", background=self._read_background())

    def _read_background(self) -> Vectors | None:
        background = self._embedder.read_background()
        return None if background is None else background.clips

    def _read_bank(self, name: str) -> Bank:
        columns = self._store.read_columns(name)
        rows = [row for row in range(len(columns.ids)) if columns.kinds[row] == "pose" and columns.glosses[row]]
        if not rows:
            raise BankError(f"collection {name!r} has no clip with a gloss among its {len(columns.ids)} entries")
        return build_bank(
            columns.vectors[rows], [columns.glosses[row] for row in rows], [columns.ids[row] for row in rows]
        )

    def _check_space(self, name: str) -> None:
        space = self._store.describe_collection(name).space
        if space != self._embedder.space:
            raise SpaceMismatchError(
                f"collection {name!r} holds vectors of space {space!r}, the model makes {self._embedder.space!r}; "
                "give the collection's model with --model"
            )

    def _embed_query(self, clip: Path | None, text: str | None, sign_language: str | None) -> Vectors:
        if clip is None:
            return self._embedder.embed_texts([text or ""], sign_language=sign_language)
        embedded = self._embedder.embed_clips(list_clips(clip)[0])
        if embedded.failures:
            raise SourceError(f"{clip}: {next(iter(embedded.failures.values()))}")
        return embedded.vectors


def _build_entry(clip: Example, vector: Vectors, embedder: Embedder) -> Entry:
    pose = read_pose(clip)
    packed = pack_pose(pose)
    return Entry(
        id=clip.id,
        vector=vector,
        kind="pose",
        space=embedder.space,
        signature=embedder.signature,
        gloss=clip.text,
        sign_language=clip.sign_language,
        spoken_language=clip.spoken_language,
        source=clip.path.name,
        # A pose that is too long to be kept only lacks its preview.
        pose=packed if len(packed) <= MAX_POSE_BYTES else None,
        quality=asdict(report_quality(pose, 0)),
    )
