"""Builds a model's background: clips that fit nothing, so that the service can say when nothing fits."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from corpora.clip_files import read_pose
from corpora.errors import CorpusError
from corpora.examples import Example
from dictionary.embedding import Embedder
from dictionary.errors import SourceError
from dictionary.interface import OnProgress
from models.background import Background
from models.embedding import embed_clips
from models.vectors import Vectors
from poses.errors import PoseError
from poses.recordings import HeldRecording
from poses.windows import extract_windows, plan_windows
from processes.os_errors import describe_reason

# Random poses that are added: 1 in 5 clips of a background of 500.
NOISE_CLIPS = 100
# Frames of a random pose, as many as a short sign has.
_NOISE_FRAMES = (12, 48)


def build_background(
    embedder: Embedder, clips: Sequence[Example], *, texts: Sequence[str], noise: int, on_progress: OnProgress
) -> tuple[Background, dict[str, str]]:
    """Embed clips of a background whole and in windows, random poses, and texts.

    Args:
        clips: that show nothing anybody looks for, such as pauses, other signs, other sign languages.
        texts: that mean nothing anybody looks for.
        noise: random poses, drawn with the mean and the spread of the clips' frames; the same each time.
    Returns:
        The background, and why clips have no part in it, by id.
    Raises:
        SourceError: no clip can be used.
    """
    failures: dict[str, str] = {}
    frames: list[Vectors] = []
    vectors = embed_clips(embedder.model, _iterate(embedder, clips, frames, failures, on_progress))
    if not len(vectors):
        raise SourceError(f"none of {len(clips)} clips can be used; the first: {next(iter(failures.items()), '')}")
    drawn = embed_clips(embedder.model, _draw_noise(np.concatenate(frames), noise))
    about = f"{len(vectors)} clips and windows of {len(clips) - len(failures)} files, and {noise} random poses"
    background = Background(
        np.concatenate([vectors, drawn]),
        embedder.embed_texts(texts, sign_language=None),
        embedder.model.digest,
        about,
    )
    return background, failures


def _iterate(
    embedder: Embedder,
    clips: Sequence[Example],
    frames: list[Vectors],
    failures: dict[str, str],
    on_progress: OnProgress,
) -> Iterator[Vectors]:
    """Give the features of every window of every clip, and keep a frame of each as a sample."""
    config = embedder.config
    for done, clip in enumerate(clips, start=1):
        try:
            recording = HeldRecording(read_pose(clip))
            plan = plan_windows(recording.frames, recording.fps, max_frames=config.max_frames)
            shown = 0
            # Windows of one clip are much alike; every fourth is enough.
            for window in extract_windows(recording, plan[::4], config.features):
                if window.features is not None:
                    shown += 1
                    frames.append(window.features[:: max(1, len(window.features) // 4)])
                    yield window.features
            if not shown:
                failures[clip.id] = "no window shows both a hand and the shoulders"
        except (CorpusError, PoseError) as error:
            failures[clip.id] = str(error)
        on_progress(done, len(clips))


def _draw_noise(frames: Vectors, count: int) -> Iterator[Vectors]:
    rng = np.random.default_rng(0)
    mean, spread = frames.mean(axis=0), frames.std(axis=0)
    for _ in range(count):
        yield rng.normal(mean, spread, (int(rng.integers(*_NOISE_FRAMES)), frames.shape[1])).astype(np.float32)


def read_texts(path: Path) -> list[str]:
    """Read the texts of a background, one a line.

    Raises:
        SourceError: the file cannot be read, or is not UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: {describe_reason(error)}") from error
    return [line.strip() for line in lines if line.strip()]
