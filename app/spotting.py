"""The search of one recording: its windows go through the engine in batches, and only their scores are kept."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from pose_format import Pose

from app.inference import RequestVectors, embed
from app.intake.clip_options import check_features, find_extractor_warnings
from app.intake.items import ItemArray, PreparedItems
from app.intake.recognition_schemas import SpotOptions
from app.recognition import Question, build_classifier, embed_question
from app.services import Services
from engine.errors import ModelFailedError
from poses.features import FeatureOptions
from poses.recordings import HeldRecording
from poses.windows import Window, extract_windows, plan_windows
from search.annotations import Find
from search.spotter import Spotter

# Windows of one call of the engine: 128 of 2 s at 30 frames a second are 7,680 frames, a forward pass or two, so that
# other requests come in between.
_WINDOWS_AT_ONCE = 128


class RecordingSearch:
    """The search of one recording.

    Args:
        question: what is looked for.
        pose: the recording.
        deadline: in seconds of time.monotonic().
    Raises:
        PoseError: the recording has no frame rate, or lacks what the model needs.
        CatalogError: the configuration of the model contradicts itself.

    Attributes:
        warnings: sentences for the answer.
    """

    def __init__(
        self, shared: Services, question: Question, pose: Pose, *, wanted: SpotOptions, deadline: float
    ) -> None:
        self._shared, self._question, self._wanted, self._deadline = shared, question, wanted, deadline
        self._recording = HeldRecording(pose)
        config = question.config
        check_features(config)
        self._plan = plan_windows(self._recording.frames, self._recording.fps, max_frames=config.max_frames)
        self._spotter: Spotter | None = None
        self._digest: str | None = None
        self.warnings = [*question.warnings, *find_extractor_warnings(wanted)]

    def follow(self) -> Iterator[tuple[int, int]]:
        """Embed and score all windows; report after each batch how many are done, and how many there are.

        Raises:
            ProcessError, ModelsError: the engine cannot answer, or the model was replaced on the way.
            SearchError: the collection cannot be used, or no threshold can be chosen.
            PoseError: the recording lacks what the model needs.
        """
        wanted, config = self._wanted, self._question.config
        options = FeatureOptions(flip=wanted.flip, anonymize=wanted.anonymize, person=wanted.person)
        windows = extract_windows(self._recording, self._plan, config.features, options)
        done = signing = 0
        while batch := list(islice(windows, _WINDOWS_AT_ONCE)):
            shown = [window for window in batch if window.features is not None]
            if shown:
                self._score(shown)
            done, signing = done + len(batch), signing + len(shown)
            yield done, len(self._plan)
        if not signing:
            self.warnings.append("no window shows both a hand and the shoulders, so nothing could be found")

    def _score(self, windows: list[Window]) -> None:
        config = self._question.config
        items: list[ItemArray | None] = [window.features for window in windows]
        tokens = sum(len(item) for item in items if item is not None)
        prepared = PreparedItems(config, "pose", items, {}, tokens=tokens)
        if self._spotter is None:
            vectors = embed_question(
                self._shared, self._question, {"pose": prepared}, deadline=self._deadline, skip=False
            )
            found, self._digest = vectors["pose"], vectors["pose"].digest
            classifier = build_classifier(self._shared, self._question, vectors)
            self._spotter = Spotter(classifier, threshold=self._wanted.threshold, rate=self._wanted.false_accept_rate)
        else:
            found = self._embed(prepared)
        places = np.array([[window.start, window.stop] for window in windows], dtype=np.int64)
        self._spotter.add(places, found.values)

    def _embed(self, prepared: PreparedItems) -> RequestVectors:
        found = embed(self._shared.engine, prepared, settings=self._shared.settings.engine, deadline=self._deadline)
        if found.digest != self._digest:
            raise ModelFailedError(f"the weights of model {prepared.config.name!r} are being replaced")
        return found

    def find(self) -> list[Find]:
        """Choose what was found, once all windows are scored."""
        return [] if self._spotter is None else self._spotter.find(self._recording.fps)

    def describe(self) -> dict[str, Any]:
        """Describe the search, as its answer does."""
        spotter = self._spotter
        described: dict[str, Any] = {
            "measure": "cosine" if spotter is None else spotter.measure,
            "threshold": (self._wanted.threshold or 0.0) if spotter is None else spotter.threshold,
            "windows": len(self._plan),
            "duration_s": self._recording.frames / self._recording.fps,
            "model_name": self._question.config.name,
        }
        if self._question.texts is not None and self._question.texts.prompts is not None:
            described["prompts"] = self._question.texts.prompts
        return described
