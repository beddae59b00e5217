"""Downloads the authors' checkpoints and their tokenizers.

A download that breaks off can be resumed. A file under its final name is always whole; until then its name ends in
`.part`. What was downloaded is recorded, and compared with the record afterwards.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import gdown
import httpx2
import huggingface_hub
from gdown.exceptions import DownloadError as GdownError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tqdm import tqdm

from models.catalog import DownloadSource, ModelConfig
from models.checkpoints.folders import (
    CHECKPOINT,
    CONVERTED,
    TOKENIZER_FILES,
    WeightsFolder,
    compute_digest,
    holds_tokenizer,
    read_digest,
)
from models.checkpoints.pickled import open_checkpoint
from models.errors import CheckpointFormatError, DigestMismatchError, DownloadError, TokenizerError
from models.registry import ensure_converted
from models.tokenization import load_tokenizer
from processes.files import hold_lock, move_file, replace_folder, write_file
from processes.os_errors import describe_error, is_fault_of_disk

RECORD = "download.json"
PART = ".part"
# config.json is not a tokenizer's file, but without it AutoTokenizer does not know that a folder is BERT's.
HUB_FILES = (*TOKENIZER_FILES, "config.json")
# Drive stalls more often than it refuses, and gdown resumes on each retry.
RETRIES = 5
TIMEOUT_S = (10.0, 60.0)


class FileRecord(BaseModel):
    """Digest and size of a downloaded file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str
    size_bytes: int


class DownloadRecord(BaseModel):
    """What was downloaded into a folder. It is kept there as download.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="`drive:<file id>` or `hub:<repository>@<revision>`")
    experiment: str | None = Field(None, description="the authors' name of the run")
    downloaded: datetime
    files: dict[str, FileRecord]

    def check(self, folder: Path) -> None:
        """Compare the files in a folder with this record.

        If a checkpoint was deleted after its conversion, the digest that the converted file records stands for it.

        Raises:
            DigestMismatchError: a file is missing, or is not the file that was downloaded.
        """
        for name, recorded in self.files.items():
            path = folder / name
            if name == CHECKPOINT and not path.is_file() and (folder / CONVERTED).is_file():
                path = folder / CONVERTED
                digest = read_digest(path)
            else:
                digest = compute_digest(path) if path.is_file() else "nothing"
            if digest != recorded.sha256:
                raise DigestMismatchError(
                    f"{path} is not what was downloaded on {self.downloaded:%Y-%m-%d} (SHA-256 "
                    f"{recorded.sha256[:12]}…, now {digest[:12]}); "
                    "download it again with: python -m models download --force"
                )


def read_record(folder: Path) -> DownloadRecord | None:
    """Read a folder's download.json; None if its files were not downloaded by this project.

    Raises:
        DownloadError: the record is damaged.
    """
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        return DownloadRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DownloadError(f"{path} is no record of a download; download again with --force") from error


def _check_record(folder: Path) -> None:
    record = read_record(folder)
    if record is not None:
        record.check(folder)


def _write_record(folder: Path, names: list[str], *, source: str, experiment: str | None = None) -> None:
    """Record files of a folder. Files that still end in `.part` are recorded under their final names."""
    files = {}
    for name in names:
        path = folder / f"{name}{PART}" if (folder / f"{name}{PART}").is_file() else folder / name
        files[name] = FileRecord(sha256=compute_digest(path), size_bytes=path.stat().st_size)
    now = datetime.now(UTC).replace(microsecond=0)
    record = DownloadRecord(source=source, experiment=experiment, downloaded=now, files=files)
    write_file(folder / RECORD, record.model_dump_json(indent=2, exclude_none=True) + "\n")


@dataclass(frozen=True)
class Fetched:
    """What `fetch` downloaded: False if the files were there and equal to their record.

    Attributes:
        path: safetensors file of the model.
    """

    checkpoint: bool
    tokenizer: bool
    path: Path


def fetch(config: ModelConfig, weights: WeightsFolder, *, force: bool = False) -> Fetched:
    """Download a model's tokenizer and checkpoint and convert them. Serving the model needs no network after that.

    Args:
        config: of the model.
        weights: where to put the files.
        force: download again, and discard what an interrupted download left.
    Raises:
        DownloadError: the model has no download source, or the source did not give a checkpoint.
        DigestMismatchError: a file is there, but it is not the file that was downloaded.
        CheckpointError: the checkpoint does not fit the configuration.
    """
    if config.download is None:
        raise DownloadError(
            f"model {config.name!r} has no `download:` in its configuration; put its files into "
            f"{weights.locate_folder(config)}"
        )
    tokenizer = fetch_tokenizer(config, weights.locate_tokenizer(config), force=force)
    checkpoint = fetch_checkpoint(config.download, weights.locate_folder(config), force=force, label=config.folder)
    return Fetched(checkpoint, tokenizer, ensure_converted(config, weights))


def fetch_checkpoint(source: DownloadSource, folder: Path, *, force: bool, label: str) -> bool:
    """Download checkpoint_best.pt into a folder.

    Args:
        force: as for `fetch`.
        label: name beside the progress bar.
    Returns:
        False if the file was there.
    Raises:
        DownloadError, DigestMismatchError: as `fetch`.
    """
    target, part = folder / CHECKPOINT, folder / f"{CHECKPOINT}{PART}"
    with _translate_errors(f"the checkpoint of {label!r}"):
        folder.mkdir(parents=True, exist_ok=True)
        with hold_lock(folder / ".download.lock"):
            if force:
                for leftover in folder.glob(f"{CHECKPOINT}{PART}*"):
                    leftover.unlink()
            elif target.is_file() or (folder / CONVERTED).is_file():
                _check_record(folder)
                return False
            drive_id = source.drive_file or _find_in_folder(source)
            with tqdm(desc=label, unit="B", unit_scale=True, disable=None) as bar:
                gdown.download(
                    id=drive_id,
                    output=str(part),
                    resume=True,
                    quiet=True,
                    progress=_make_progress(bar, folder),
                    retries=RETRIES,
                    timeout=TIMEOUT_S,
                )
            _require_checkpoint(part, source.experiment)
            # gdown gives the file its age on Drive, but it must be newer than the converted file to be converted.
            os.utime(part)
            _write_record(folder, [CHECKPOINT], source=f"drive:{drive_id}", experiment=source.experiment)
            move_file(part, target)
    return True


def _find_in_folder(source: DownloadSource) -> str:
    """Find the id of `<experiment>/checkpoint_best.pt` in a Drive folder, at any depth."""
    if source.drive_folder is None:
        raise DownloadError(f"{source.experiment!r} has neither drive_file nor drive_folder in its configuration")
    listed = gdown.download_folder(id=source.drive_folder, skip_download=True, quiet=True, timeout=TIMEOUT_S)
    paths = {str(file.path): str(file.id) for file in listed}
    wanted = f"{source.experiment}/{CHECKPOINT}"
    found = [drive_id for path, drive_id in paths.items() if f"/{path}".endswith(f"/{wanted}")]
    if len(found) != 1:
        runs = sorted(path.removesuffix(f"/{CHECKPOINT}") for path in paths if path.endswith(f"/{CHECKPOINT}"))
        raise DownloadError(
            f"Drive folder {source.drive_folder} holds {len(found)} files {wanted!r}; "
            f"its checkpoints: {', '.join(runs) or 'none'}"
        )
    return found[0]


def _make_progress(bar: "tqdm[None]", folder: Path) -> Callable[[int, int | None], None]:
    def report(received: int, total: int | None) -> None:
        if bar.total is None and total is not None:
            free = shutil.disk_usage(folder).free
            if total - received > free:
                raise DownloadError(f"{folder} has {free:,} bytes free, the checkpoint needs {total - received:,} more")
            bar.total = total
        bar.update(received - bar.n)

    return report


def _require_checkpoint(part: Path, experiment: str) -> None:
    """Delete a file that is no checkpoint, so that the next download starts again, and raise what it was."""
    with part.open("rb") as file:
        start = file.read(512).lstrip().lower()
    try:
        if start.startswith((b"<!doctype", b"<html")):
            raise DownloadError(
                f"Google Drive sent a web page instead of {experiment!r}, most likely because its daily quota is "
                "used up; try again tomorrow, or put the file in place by hand"
            )
        with open_checkpoint(part):
            pass
    except (DownloadError, CheckpointFormatError) as error:
        part.unlink()
        if isinstance(error, DownloadError):
            raise
        raise DownloadError(f"what Google Drive sent as {experiment!r} is no checkpoint: {error}") from error


def fetch_tokenizer(config: ModelConfig, folder: Path, *, force: bool) -> bool:
    """Download a tokenizer's files into a folder.

    Args:
        config: names the tokenizer on the hub.
        force: download again if the folder holds a tokenizer.
    Returns:
        False if the folder held a tokenizer.
    Raises:
        DownloadError, DigestMismatchError: as `fetch`.
    """
    with _translate_errors(f"the tokenizer {config.tokenizer!r}"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with hold_lock(folder.with_name(f".{folder.name}.lock")):
            if not force and holds_tokenizer(folder):
                _check_record(folder)
                return False
            # The folder appears whole, because with vocab.txt alone a cased tokenizer would be read as lower-casing.
            with replace_folder(folder) as part:
                _fill_tokenizer(config, part)
    load_tokenizer.cache_clear()
    return True


def _fill_tokenizer(config: ModelConfig, part: Path) -> None:
    info = huggingface_hub.HfApi().model_info(config.tokenizer)
    offered = {file.rfilename for file in info.siblings or ()}
    names = [name for name in HUB_FILES if name in offered]
    for name in names:
        huggingface_hub.hf_hub_download(config.tokenizer, name, revision=info.sha, local_dir=part)
    shutil.rmtree(part / ".cache", ignore_errors=True)
    try:
        load_tokenizer(part, config.lowercase)
    except TokenizerError as error:
        raise DownloadError(f"{config.tokenizer!r} on the hub is no tokenizer we can read: {error}") from error
    _write_record(part, names, source=f"hub:{config.tokenizer}@{info.sha}")


@contextmanager
def _translate_errors(what: str) -> Iterator[None]:
    """Turn every error of the network, of the libraries that use it and of the disk into DownloadError."""
    try:
        yield
    except (GdownError, httpx2.HTTPError, OSError, ValueError, LookupError, AssertionError) as error:
        # gdown and the hub's client read pages that change without notice, so failed look-ups and asserts count too.
        reason = " ".join(describe_error(error).split()) or type(error).__name__
        if is_fault_of_disk(error):
            raise DownloadError(
                f"{what} cannot be stored: {reason}. Make room or get access there, or name another folder with "
                "SIGNCLIP_WEIGHTS_DIR, and run the same command again; it resumes"
            ) from error
        raise DownloadError(
            f"{what} could not be downloaded: {reason} (run the same command to resume, with --force to start over)"
        ) from error
