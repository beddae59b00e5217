"""What a request's options for clips mean to the model that it asks."""

from pose_format import Pose

from app.errors import FramesOverLimitError
from app.intake.schemas import ClipOptions
from models.catalog import ModelConfig
from models.errors import CatalogError
from poses.errors import NoHandsError
from poses.feature_kinds import FEATURE_KINDS
from poses.quality import shows_hands
from poses.trim import Signing


def is_trimmed(clips: ClipOptions, config: ModelConfig) -> bool:
    """Return whether clips are cut to the signing: as the request asks, or else as the model does."""
    return (clips.trim or config.trim) == "auto"


def check_features(config: ModelConfig) -> None:
    """Refuse clips for a model that its configuration gives another number of features than its kind has.

    Raises:
        CatalogError: the two differ. Nothing is wrong with the clips.
    """
    kind = FEATURE_KINDS.get(config.features)
    if kind is not None and kind.dim != config.feature_dim:
        raise CatalogError(
            f"model {config.name!r} has feature_dim {config.feature_dim}, and its features, {kind.name!r}, are "
            f"{kind.dim} numbers a frame; correct feature_dim or features in its config.yaml"
        )


def find_extractor_warnings(clips: ClipOptions) -> list[str]:
    """Warn of poses that another tool estimated, as the request says, so that nobody takes their vectors for equal."""
    if clips.extractor is None:
        return []
    return [
        f"the poses come from {clips.extractor!r}, as the request says: their vectors may be compared with those of "
        "this service's own poses, and are near them, but not equal"
    ]


def check_hands(pose: Pose, clips: ClipOptions, *, needed: bool) -> None:
    """Refuse a clip in which no hand is seen, where one is needed.

    Raises:
        NoHandsError: there is none in any frame.
        PersonError: the pose has several people and none was chosen, or the chosen person is not there.
    """
    if needed and not shows_hands(pose, clips.person):
        frames = len(pose.body.confidence)
        raise NoHandsError(f"no hand in any of {frames} frames. Send allow_no_hands: true to take it all the same")


def check_length(pose: Pose, config: ModelConfig, *, truncate: bool) -> list[str]:
    """Refuse a clip that is too long for a model, or give the warning that it is cut.

    Raises:
        FramesOverLimitError: it is too long and is not to be cut.
    """
    frames = len(pose.body.confidence)
    if frames <= config.max_frames:
        return []
    excess = f"{frames} frames; model {config.name!r} takes {config.max_frames}"
    if not truncate:
        raise FramesOverLimitError(f"{excess}. Send truncate: true to keep the first")
    return [f"{excess}, the first are kept"]


def describe_trimming(signing: Signing, frames: int) -> tuple[list[int], list[str]]:
    """Say which frames of a clip are embedded, and why it was not trimmed, if it was not.

    Args:
        frames: how many are embedded.
    """
    faults = [] if signing.fault is None else [f"not trimmed, because {signing.fault}"]
    return [signing.start, signing.start + frames], faults
