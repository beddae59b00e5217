"""Turns texts into token ids and poses into features. It runs in the web worker, so that bad items are never queued."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy.typing as npt
import pose_format

from app.errors import (
    InputError,
    ItemError,
    Problem,
    TextTooLongError,
    TokensOverLimitError,
    TooLargeError,
)
from app.intake.base64_text import decode_base64
from app.intake.clip_options import (
    check_features,
    check_hands,
    check_length,
    describe_trimming,
    find_extractor_warnings,
    is_trimmed,
)
from app.intake.schemas import ClipOptions, PromptOptions
from models.catalog import ModelConfig, Tower
from models.errors import UnknownLanguageError
from models.prompts import build_prompt, find_doubled_tags, find_unknown_tags
from models.signature import list_unusual_options
from models.tokenization import Tokenizer
from poses import quality
from poses.errors import NotAPoseError, PoseError, PoseTooLargeError
from poses.features import FeatureOptions, extract, is_flipped
from poses.file_pose import FilePose
from poses.headers import ReadLimits, describe_other
from poses.reading import read, unpack_pose
from poses.trim import cut_to_signing
from processes.compression import find_packing
from processes.file_kinds import recognize
from video.errors import EstimatorError, VideoError

ItemArray = npt.NDArray[Any]
# Blanks, line breaks, control characters and marks without a width: BERT's tokenizers drop all but 13 of 247.
_UNREAD = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf"})
# What decoders put in the place of bytes that they cannot read. BERT's tokenizers drop it.
_REPLACEMENT = "\ufffd"


@dataclass
class PreparedItems:
    """The items of one request, ready for one tower of one model.

    Attributes:
        items: text: int32 (tokens,); pose: float32 (frames, features); None for an item that is skipped.
        failures: why items are skipped, by index.
        tokens: word pieces or frames in all items together.
        prompts: the texts with their prompts, when the request asked for prompts.
        quality: a report of each clip, when the request asked for it.
        trimmed: of each clip, the first frame that is embedded and the frame after the last one, where clips are
            trimmed.
        warnings: sentences for the answer.
        options: options that change vectors and are not at their default; they are part of the signature.
    """

    config: ModelConfig
    tower: Tower
    items: list[ItemArray | None]
    failures: dict[int, Exception]
    tokens: int = 0
    prompts: list[str] | None = None
    quality: list[dict[str, Any] | None] | None = None
    trimmed: list[list[int] | None] | None = None
    warnings: list[str] = field(default_factory=list)
    options: dict[str, str | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class ItemRules:
    """What applies to every item of a request.

    Attributes:
        pointers: JSON pointer (RFC 6901) to each item.
        truncate: cut an item that is too long for the model; False refuses it.
        skip: leave a bad item out of the answer; False refuses the request.
        needs_hands: refuse a clip without a hand in any frame.
    """

    pointers: Sequence[str]
    truncate: bool = False
    skip: bool = False
    needs_hands: bool = False


def prepare_texts(
    config: ModelConfig,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    prompts: PromptOptions,
    rules: ItemRules,
    max_chars: int,
) -> PreparedItems:
    """Write the prompts and turn them into token ids.

    Args:
        max_chars: of one text, before its prompt is written.
    Raises:
        InputError: sign_language is unknown.
        ItemError: a text is too long, and rules do not skip it.
    """
    warnings: list[str] = []
    written = [_write_prompt(config, text, prompts, warnings=warnings) for text in texts]
    short = [prompt if len(text) <= max_chars else "" for text, prompt in zip(texts, written, strict=True)]
    pieces = tokenizer.split(short)

    def prepare(index: int) -> ItemArray:
        if len(texts[index]) > max_chars:
            raise TextTooLongError(f"{len(texts[index])} characters; a text may have {max_chars}")
        count = len(pieces[index])
        if count > config.max_pieces:
            excess = f"{count} word pieces; model {config.name!r} takes {config.max_pieces}"
            if not rules.truncate:
                raise TokensOverLimitError(f"{excess}. Send truncate: true to keep the first")
            warnings.append(f"{rules.pointers[index]}: {excess}, the first are kept")
        faults = find_unknown_tags(config, texts[index]) + find_doubled_tags(config, written[index])
        faults += _find_text_faults(config, texts[index], pieces[index], unk_id=tokenizer.unk_id)
        warnings.extend(f"{rules.pointers[index]}: {fault}" for fault in faults)
        return tokenizer.build_input_ids(pieces[index], max_pieces=config.max_pieces)

    items, failures = _prepare_each(prepare, rules)
    return PreparedItems(
        config,
        "text",
        items,
        failures,
        tokens=sum(len(item) for item in items if item is not None),
        prompts=written if prompts.sign_language is not None else None,
        warnings=list(dict.fromkeys(warnings)),
    )


def prepare_clips(
    config: ModelConfig,
    read_item: Callable[[int], pose_format.Pose],
    *,
    clips: ClipOptions,
    rules: ItemRules,
    with_quality: bool = False,
) -> PreparedItems:
    """Compute the features that the model takes. All that is said of a clip is said of what trimming leaves of it.

    Args:
        read_item: returns the pose of the item with this index, or raises what is wrong with it.
        with_quality: also report the quality of each clip.
    Raises:
        CatalogError: the configuration of the model contradicts itself.
        ItemError: an item is no usable pose or is too long, and rules do not skip it.
        EstimatorError: the estimation of a video failed, and rules do not skip it.
    """
    check_features(config)
    warnings = find_extractor_warnings(clips)
    reports: list[dict[str, Any] | None] = [None] * len(rules.pointers)
    trimmed: list[list[int] | None] = [None] * len(rules.pointers)
    trims = is_trimmed(clips, config)
    wanted = FeatureOptions(flip=clips.flip, anonymize=clips.anonymize, person=clips.person)

    def prepare(index: int) -> ItemArray:
        pose, signing = cut_to_signing(read_item(index), clips.person) if trims else (read_item(index), None)
        check_hands(pose, clips, needed=rules.needs_hands)
        found = check_length(pose, config, truncate=rules.truncate)
        features = extract(pose, config.features, wanted)[: config.max_frames]
        reports[index] = report_quality(pose, clips.person) if with_quality else None
        found += quality.find_warnings(pose, clips.person, is_flipped=is_flipped(pose, wanted))
        if signing is not None:
            trimmed[index], faults = describe_trimming(signing, len(features))
            found += faults
        warnings.extend(f"{rules.pointers[index]}: {warning}" for warning in found)
        return features

    items, failures = _prepare_each(prepare, rules)
    return PreparedItems(
        config,
        "pose",
        items,
        failures,
        tokens=sum(len(item) for item in items if item is not None),
        quality=reports if with_quality else None,
        trimmed=trimmed if trims else None,
        warnings=warnings,
        options=list_unusual_options(config, flip=clips.flip, anonymize=clips.anonymize, trim=clips.trim),
    )


class PoseFiles:
    """The .pose files of one request, which together may unpack to no more than one body may hold.

    Args:
        items: bytes of each file, packed or not, or their base64.
        config: the model that is to embed the poses. A layout that lacks its points is refused before a clip that is
            too long. None: any layout is accepted.
        max_bytes: of one file, and of all files that are packed, once they are unpacked.
    """

    def __init__(self, items: Sequence[str | bytes], *, config: ModelConfig | None = None, max_bytes: int) -> None:
        self._items = items
        self._kind = None if config is None else config.features
        self._limits = ReadLimits(max_bytes=max_bytes)
        self._bytes_left = max_bytes

    def read(self, index: int) -> FilePose:
        """Read one file.

        Raises:
            Base64Error: the text is no base64.
            PoseError: the bytes are no usable pose.
            TooLargeError: the files unpack to more than the limit.
        """
        item = self._items[index]
        data = decode_base64(item) if isinstance(item, str) else item
        if find_packing(data) is not None:
            data = self._unpack(data)
        return read(data, limits=self._limits, kind=self._kind)

    def _unpack(self, data: bytes) -> bytes:
        # One limit for all of them: a few hundred bytes unpack to gigabytes, and a request may hold hundreds of files.
        try:
            unpacked = unpack_pose(data, limits=ReadLimits(max_bytes=self._bytes_left))
        except PoseTooLargeError as error:
            limit = self._limits.max_bytes
            raise TooLargeError(f"packed poses that unpack to more than {limit} bytes together") from error
        self._bytes_left -= len(unpacked)
        if find_packing(unpacked) is not None:  # packed twice, which would escape the limit
            raise NotAPoseError(describe_other(recognize(unpacked)))
        return unpacked


def report_quality(pose: pose_format.Pose, person: int | None) -> dict[str, Any]:
    """Report the quality of one clip, as answers show it.

    Raises:
        PoseError: the chosen person is not in the clip, or nothing can be said about the clip.
    """
    return asdict(quality.report(pose, person))


def locate_error(error: Exception, pointer: str) -> Exception:
    """Add an item's place in the document to its error. An error that is not the item's fault stays as it is."""
    if isinstance(error, EstimatorError):
        return error
    code = str(getattr(error, "code", ItemError.code))
    return ItemError(f"{pointer}: {error}", problems=(Problem(pointer, str(error)),), code=code)


def _write_prompt(config: ModelConfig, text: str, options: PromptOptions, *, warnings: list[str]) -> str:
    try:
        prompt = build_prompt(
            config, text, sign_language=options.sign_language, spoken_language=options.spoken_language
        )
    except UnknownLanguageError as error:
        raise InputError(str(error), problems=(Problem("/sign_language", str(error)),), code=error.code) from error
    warnings.extend(prompt.warnings)
    return prompt.text


def _find_text_faults(config: ModelConfig, text: str, pieces: Sequence[int], *, unk_id: int) -> list[str]:
    """Find what a model cannot read in a text. Texts that differ only in unknown words get the same vector."""
    is_blank = all(mark == _REPLACEMENT or unicodedata.category(mark) in _UNREAD for mark in text)
    faults = ["the text is blank"] if is_blank else []
    lost = text.count(_REPLACEMENT)
    if lost:
        faults.append(f"{lost} of {len(text)} characters are U+FFFD, so they were lost when the text was decoded")
    unknown = sum(piece == unk_id for piece in pieces)
    if unknown:
        few = (
            f"{unknown} of {len(pieces)} word pieces are" if unknown < len(pieces) else f"all {unknown} word pieces are"
        )
        faults.append(f"{few} unknown to model {config.name!r}")
    return faults


def _prepare_each(
    prepare: Callable[[int], ItemArray], rules: ItemRules
) -> tuple[list[ItemArray | None], dict[int, Exception]]:
    """Prepare every item. A bad item ends the request, or is recorded and skipped when the rules say so."""
    items: list[ItemArray | None] = []
    failures: dict[int, Exception] = {}
    for index, pointer in enumerate(rules.pointers):
        try:
            items.append(prepare(index))
        except (ItemError, PoseError, VideoError, EstimatorError) as error:
            if not rules.skip:
                raise locate_error(error, pointer) from error
            items.append(None)
            failures[index] = error
    return items, failures
