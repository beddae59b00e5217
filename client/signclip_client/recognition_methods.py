"""The methods that recognize signs, for Client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, Unpack

from signclip_client import recognition_calls
from signclip_client.chunks import Clip
from signclip_client.configuration import Configuration
from signclip_client.exchange import OnProgress
from signclip_client.messages import Call
from signclip_client.options import ClassifyOptions, ReportOptions, ScoreOptions, SpotOptions
from signclip_client.recognition_results import BankReport, Classification, FittedProbe, Score, Spotted
from signclip_client.results import Result


class RecognitionMethods(ABC):
    """Methods that name clips, find signs in recordings, and score signing."""

    configuration: Configuration

    @abstractmethod
    def _run(self, call: Call[Result], progress: OnProgress | None = None) -> Result: ...

    def classify(
        self,
        *,
        poses: Clip | Sequence[Clip] = (),
        videos: Clip | Sequence[Clip] = (),
        progress: OnProgress | None = None,
        **options: Unpack[ClassifyOptions],
    ) -> Classification:
        """Name clips: give labels, or a collection of examples."""
        call = recognition_calls.classify(self.configuration, poses=poses, videos=videos, options=options)
        return self._run(call, progress)

    def spot(self, *, pose: Clip | None = None, video: Clip | None = None, **options: Unpack[SpotOptions]) -> Spotted:
        """Find signs in a recording: give a query of texts, or a collection of examples."""
        return self._run(recognition_calls.spot(self.configuration, pose=pose, video=video, options=options))

    def annotate(
        self,
        form: Literal["vtt", "csv", "eaf"],
        *,
        pose: Clip | None = None,
        video: Clip | None = None,
        **options: Unpack[SpotOptions],
    ) -> bytes:
        """Find signs in a recording, as subtitles, a table, or a file for ELAN."""
        call = recognition_calls.annotate(self.configuration, form, pose=pose, video=video, options=options)
        return self._run(call)

    def score(
        self,
        poses: Clip | Sequence[Clip],
        *,
        references: Clip | Sequence[Clip] = (),
        texts: str | Sequence[str] = (),
        **options: Unpack[ScoreOptions],
    ) -> Score:
        """Score signing against reference poses or reference texts, pair by pair."""
        call = recognition_calls.score(self.configuration, poses, references=references, texts=texts, options=options)
        return self._run(call)

    def report_on_collection(self, name: str, **options: Unpack[ReportOptions]) -> BankReport:
        """Report how well a collection tells its labels apart."""
        return self._run(recognition_calls.report_on_collection(name, options))

    def fit_collection(self, name: str) -> FittedProbe:
        """Fit a probe to the examples of a collection, which classify then uses with method="probe"."""
        return self._run(recognition_calls.fit_collection(name))
