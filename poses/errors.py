"""What can be wrong with a pose.

PoseError
├── PoseFormatError        the bytes are not a readable .pose file
│   ├── NotAPoseError      they are of another kind: text, a page, a video, …
│   ├── PoseVersionError   a version of the format that is not read here
│   ├── PoseTruncatedError the file ends before what its header promises
│   └── PoseTrailingError  bytes are left over after the last frame
├── PoseTooLargeError      bytes, header, components or points exceed a limit
│   └── PoseTooLongError   frames exceed a limit
├── PoseContentError       readable, but the numbers mean nothing
│   ├── PoseEmptyError     no frames or no people
│   └── NoHandsError       no hand is seen in any frame
├── PoseLayoutError        a component or a point the features need is not in the layout
├── PoseScaleError         no distance between the shoulders to measure in
├── PersonError            several people and none chosen, or the chosen person is not there
└── FeatureKindError       no features of that name

Every class has a stable ``code``; every message says what was wrong, the value and the limit.
"""

from __future__ import annotations


class PoseError(Exception):
    """Anything that makes a pose unusable. The message may be shown to the sender of the pose."""

    code = "pose_invalid"


class PoseFormatError(PoseError):
    """The bytes are not a readable .pose file."""

    code = "pose_unreadable"


class NotAPoseError(PoseFormatError):
    """The bytes are of another kind: text, a page, an archive, a video, or nothing at all."""

    code = "not_a_pose"


class PoseVersionError(PoseFormatError):
    """The file's version is not one that is read here."""

    code = "pose_version_unknown"


class PoseTruncatedError(PoseFormatError):
    """The file ends before what its header promises."""

    code = "pose_truncated"


class PoseTrailingError(PoseFormatError):
    """Bytes are left over after the last frame."""

    code = "pose_trailing_bytes"


class PoseTooLargeError(PoseError):
    """A size exceeds its limit."""

    code = "pose_too_large"


class PoseTooLongError(PoseTooLargeError):
    """The clip has more frames than the limit."""

    code = "pose_too_long"


class PoseContentError(PoseError):
    """The file is well formed, but its numbers mean nothing."""

    code = "pose_content_invalid"


class PoseEmptyError(PoseContentError):
    """The clip has no frames or no people."""

    code = "pose_empty"


class NoHandsError(PoseContentError):
    """No hand is seen in any frame, so that no sign can be recognized."""

    code = "pose_no_hands"


class PoseLayoutError(PoseError):
    """A component or a point that the features need is not in the pose's layout."""

    code = "pose_layout_unsupported"


class PoseScaleError(PoseError):
    """The shoulders give no unit of length: never seen together, or in one place."""

    code = "pose_shoulders_missing"


class PersonError(PoseError):
    """The clip has several people and none was chosen, or the chosen person is not there."""

    code = "pose_person_invalid"


class FeatureKindError(PoseError):
    """There are no features of that name."""

    code = "pose_features_unknown"
