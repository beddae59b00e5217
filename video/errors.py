"""What can be wrong with a video, and with the process that looks at it.

VideoError
├── VideoUnreadableError    the bytes are no video that is read here, or are damaged
│   ├── NotAVideoError      they are of another kind: text, a page, a picture, a pose, …
│   ├── VideoFormatError    a kind of video that is not read here
│   ├── VideoHeadMissingError  a later chunk of a recording, without the head that describes it
│   ├── VideoCodecError     its pictures are coded in a way that is not read here
│   ├── VideoTruncatedError it ends before what it declares
│   └── VideoSizeChangeError  its pictures change size on the way
├── VideoEmptyError         no pictures in it, or only a cover
├── VideoTooLargeError      bytes, sides, pixels, rate or memory exceed a limit
├── VideoTooLongError       it lasts longer than a limit
│   └── TooManyFramesError  it has more frames than a limit
├── VideoTooSlowError       one frame takes longer than any should
└── NobodyInViewError       no person is seen in most frames

EstimatorError              the video may be good, its estimation did not come to an end
├── EstimatorLostError      the process died on it
└── EstimationStoppedError  the result is no longer wanted

Every class has a stable ``code``; every message says what was wrong, the value and the limit.
"""

from __future__ import annotations


class VideoError(Exception):
    """Anything that makes a video unusable. The message may be shown to the sender of the video."""

    code = "video_invalid"


class VideoUnreadableError(VideoError):
    """The bytes are no video that is read here, or are damaged."""

    code = "video_unreadable"


class NotAVideoError(VideoUnreadableError):
    """The bytes are of another kind: text, a page, a picture, a sound, a pose, or nothing at all."""

    code = "not_a_video"


class VideoFormatError(VideoUnreadableError):
    """The bytes are a kind of video that is not read here."""

    code = "video_format_unsupported"


class VideoHeadMissingError(VideoUnreadableError):
    """The bytes are a later chunk of a recording, without the head that describes it."""

    code = "video_head_missing"


class VideoCodecError(VideoUnreadableError):
    """The pictures are coded in a way that is not read here."""

    code = "video_codec_unsupported"


class VideoTruncatedError(VideoUnreadableError):
    """The video ends before what it declares."""

    code = "video_truncated"


class VideoSizeChangeError(VideoUnreadableError):
    """The pictures change size on the way."""

    code = "video_size_changes"


class VideoEmptyError(VideoError):
    """There are no pictures, or only a cover."""

    code = "video_empty"


class VideoTooLargeError(VideoError):
    """Bytes, sides, pixels, rate or memory exceed a limit."""

    code = "video_too_large"


class VideoTooLongError(VideoError):
    """The video lasts longer than a limit."""

    code = "video_too_long"


class TooManyFramesError(VideoTooLongError):
    """The video has more frames than a limit."""

    code = "video_too_many_frames"


class VideoTooSlowError(VideoError):
    """One frame takes longer than any should."""

    code = "video_too_slow"


class NobodyInViewError(VideoError):
    """No person is seen in most frames."""

    code = "video_nobody_in_view"


class EstimatorError(Exception):
    """The video may be good, but its estimation did not come to an end."""

    code = "estimator_failed"


class EstimatorLostError(EstimatorError):
    """The process died on the video."""

    code = "estimator_lost"

    def __init__(self, message: str, *, retry_after_s: float = 2.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class EstimationStoppedError(EstimatorError):
    """The result is no longer wanted."""

    code = "estimation_stopped"
