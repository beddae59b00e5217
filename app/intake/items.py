"""Texts to token ids and .pose files to features, here in the web worker, so that nothing refusable is ever queued."""

import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy.typing as npt
import pose_format
import pybase64

from app.errors import (
    Base64Error,
    FramesOverLimitError,
    InputError,
    ItemError,
    Problem,
    TextTooLongError,
    TokensOverLimitError,
    code_of,
)
from app.intake.schemas import ClipOptions, PromptOptions
from models.catalog import ModelConfig, Tower
from models.errors import UnknownLanguageError
from models.languages import build_prompt
from models.tokenization import Tokenizer
from poses import quality
from poses.errors import PoseError
from poses.features import FeatureOptions, extract
from poses.reading import read
from video.errors import EstimatorError, VideoError

Array = npt.NDArray[Any]
_DATA_URL_CHARS = 256


@dataclass
class Prepared:
    """Items of one request, ready for one tower.

    Attributes:
        items: what the engine takes; None where an item was skipped.
        failures: why, by index.
        tokens: word pieces or frames in all items.
        prompts: what was embedded, when a prompt was asked for.
        quality: a report a clip, when asked for.
        options: those that move vectors, where they are not the default; part of the signature.
    """

    tower: Tower
    items: list[Array | None]
    failures: dict[int, Exception]
    tokens: int = 0
    prompts: list[str] | None = None
    quality: list[dict[str, Any] | None] | None = None
    warnings: list[str] = field(default_factory=list)
    options: dict[str, str | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class ItemRules:
    """What applies to every item: where they stand in the document, and what to do with a bad or a long one."""

    pointers: Sequence[str]
    truncate: bool = False
    skip: bool = False


def prepare_texts(
    config: ModelConfig,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    prompts: PromptOptions,
    rules: ItemRules,
    max_chars: int,
) -> Prepared:
    """Write the prompts and turn them into token ids.

    Args:
        max_chars: of one text, before its prompt.
    Raises:
        InputError: sign_language is unknown.
        ItemError: a text is too long, and rules do not skip it.
    """
    warnings: list[str] = []
    asked = prompts.sign_language is not None
    written = [_prompt(config, text, prompts, warnings) for text in texts]
    short = [prompt if len(text) <= max_chars else "" for text, prompt in zip(texts, written, strict=True)]
    pieces = tokenizer.pieces(short)

    def one(index: int) -> Array:
        if len(texts[index]) > max_chars:
            raise TextTooLongError(f"{len(texts[index])} characters; a text may have {max_chars}")
        count = len(pieces[index])
        if count > config.max_pieces:
            limit = f"{count} word pieces; model {config.name!r} takes {config.max_pieces}"
            if not rules.truncate:
                raise TokensOverLimitError(f"{limit}. Send truncate: true to keep the first")
            warnings.append(f"{rules.pointers[index]}: {limit}, the first are kept")
        unknown = pieces[index].count(tokenizer.unk_id)
        if unknown:
            # Texts that differ in such words only have the same vector.
            warnings.append(
                f"{rules.pointers[index]}: {unknown} of {count} word pieces are unknown to model {config.name!r}"
            )
        return tokenizer.input_ids(pieces[index], max_pieces=config.max_pieces)

    items, failures = _each(one, rules)
    return Prepared(
        "text",
        items,
        failures,
        tokens=sum(len(item) for item in items if item is not None),
        prompts=written if asked else None,
        warnings=list(dict.fromkeys(warnings)),
    )


def prepare_poses(
    config: ModelConfig,
    files: Sequence[str | bytes],
    *,
    clips: ClipOptions,
    rules: ItemRules,
    with_quality: bool = False,
) -> Prepared:
    """Read .pose files, from their bytes or base64, and compute the features that the model takes.

    Raises:
        ItemError: a file is no usable pose, or too long, and rules do not skip it.
    """
    return prepare_clips(
        config, lambda index: read_clip(files[index]), clips=clips, rules=rules, with_quality=with_quality
    )


def prepare_clips(
    config: ModelConfig,
    read_item: Callable[[int], pose_format.Pose],
    *,
    clips: ClipOptions,
    rules: ItemRules,
    with_quality: bool = False,
) -> Prepared:
    """Compute the features that the model takes.

    Args:
        read_item: gives the pose of an item, or raises what is wrong with it.
    Raises:
        ItemError: an item is no usable pose, or too long, and rules do not skip it.
        EstimatorError: the estimation of a video was lost, and rules do not skip it.
    """
    warnings: list[str] = []
    reports: list[dict[str, Any] | None] = [None] * len(rules.pointers)
    wanted = FeatureOptions(flip=clips.flip, anonymize=clips.anonymize, person=clips.person)

    def one(index: int) -> Array:
        pose = read_item(index)
        frames = len(pose.body.data)
        if frames > config.max_frames:
            limit = f"{frames} frames; model {config.name!r} takes {config.max_frames}"
            if not rules.truncate:
                raise FramesOverLimitError(f"{limit}. Send truncate: true to keep the first")
            warnings.append(f"{rules.pointers[index]}: {limit}, the first are kept")
        features = extract(pose, config.features, wanted)[: config.max_frames]
        if with_quality:
            reports[index] = report(pose, clips.person)
        return features

    items, failures = _each(one, rules)
    options: dict[str, str | bool] = {} if clips.flip == "never" else {"flip": clips.flip}
    return Prepared(
        "pose",
        items,
        failures,
        tokens=sum(len(item) for item in items if item is not None),
        quality=reports if with_quality else None,
        warnings=warnings,
        options=options | ({"anonymize": True} if clips.anonymize else {}),
    )


def read_clip(file: str | bytes) -> pose_format.Pose:
    """Read a .pose file from its bytes or their base64.

    Raises:
        Base64Error, PoseError
    """
    return read(decode_base64(file) if isinstance(file, str) else file)


def report(pose: pose_format.Pose, person: int | None) -> dict[str, Any]:
    """The quality report of one clip, as the answer has it."""
    return asdict(quality.report(pose, person))


def _prompt(config: ModelConfig, text: str, options: PromptOptions, warnings: list[str]) -> str:
    try:
        prompt = build_prompt(
            config, text, sign_language=options.sign_language, spoken_language=options.spoken_language
        )
    except UnknownLanguageError as error:
        raise InputError(str(error), problems=(Problem("/sign_language", str(error)),), code=error.code) from error
    warnings.extend(prompt.warnings)
    return prompt.text


def decode_base64(text: str) -> bytes:
    """Bytes of strict base64; line breaks and a data URL's head are no fault."""
    head, comma, rest = text[:_DATA_URL_CHARS].partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        text = rest + text[_DATA_URL_CHARS:]
    if "\n" in text:
        text = "".join(text.split())
    try:
        return pybase64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Base64Error(f"{len(text)} characters that are not base64: {error}") from error


def skipped(failures: Mapping[int, Exception]) -> list[dict[str, Any]]:
    """Items that were left out, as the answer has them."""
    return [{"index": index, "code": code_of(error), "detail": str(error)} for index, error in sorted(failures.items())]


def placed(error: Exception, pointer: str) -> Exception:
    """An item's error, with its place in the document; one that is not the item's fault stays as it is."""
    if isinstance(error, EstimatorError):
        return error
    code = str(getattr(error, "code", ItemError.code))
    return ItemError(f"{pointer}: {error}", problems=(Problem(pointer, str(error)),), code=code)


def _each(prepare: Callable[[int], Array], rules: ItemRules) -> tuple[list[Array | None], dict[int, Exception]]:
    """Prepare every item; a bad one ends the request, or is noted and skipped."""
    items: list[Array | None] = []
    failures: dict[int, Exception] = {}
    for index, pointer in enumerate(rules.pointers):
        try:
            items.append(prepare(index))
        except (ItemError, PoseError, VideoError, EstimatorError) as error:
            if not rules.skip:
                raise placed(error, pointer) from error
            items.append(None)
            failures[index] = error
    return items, failures
