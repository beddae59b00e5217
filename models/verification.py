"""Checks of a model's files: digests, strict loading and the probe."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from models.backends.pytorch import TorchBackend
from models.catalog import ModelConfig
from models.checkpoints.folders import WeightsFolder, compute_digest, read_digest
from models.download import read_record
from models.embedding import EmbeddingModel
from models.errors import DigestMismatchError, ModelsError
from models.probe import TOLERANCE, find_expected_vectors, make_probe_items
from models.registry import check_vocabulary, ensure_converted
from models.tokenization import load_tokenizer
from models.vectors import measure_error


@dataclass(frozen=True)
class Finding:
    """The result of one check; if `ok` is False, the model must not be served."""

    ok: bool
    what: str
    detail: str


def verify(config: ModelConfig, weights: WeightsFolder) -> Iterator[Finding]:
    """Check a model's files. All checks run, even if the first ones fail.

    Yields:
        A finding for each check.
    Raises:
        WeightsMissingError: the model has no files to check.
    """
    missing = weights.find_missing(config)
    if missing is not None:
        raise missing
    checks: dict[str, Callable[[ModelConfig, WeightsFolder], str]] = {
        "download": _check_download,
        "conversion": _check_conversion,
        "tokenizer": _check_tokenizer,
        "probe": _check_probe,
    }
    for what, check in checks.items():
        try:
            yield Finding(True, what, check(config, weights))
        except (ModelsError, OSError) as error:
            yield Finding(False, what, str(error))


def _check_download(config: ModelConfig, weights: WeightsFolder) -> str:
    record = read_record(weights.locate_folder(config))
    if record is None:
        return "not downloaded by this project, so there is no record to compare with"
    record.check(weights.locate_folder(config))
    digests = ", ".join(f"{name} {recorded.sha256[:12]}" for name, recorded in record.files.items())
    return f"as downloaded on {record.downloaded:%Y-%m-%d} from {record.source}: {digests}"


def _check_conversion(config: ModelConfig, weights: WeightsFolder) -> str:
    path, checkpoint = ensure_converted(config, weights), weights.locate_checkpoint(config)
    origin = read_digest(path)
    if not checkpoint.is_file():
        return f"{path.name} was made from {origin[:12]}; there is no {checkpoint.name} to compare with"
    digest = compute_digest(checkpoint)
    if digest != origin:
        raise DigestMismatchError(
            f"{path} was made from {origin[:12]}…, {checkpoint.name} is {digest[:12]}…; "
            f"run: python -m models convert {config.name}"
        )
    return f"{path.name} was made from {checkpoint.name} {digest[:12]}"


def _check_tokenizer(config: ModelConfig, weights: WeightsFolder) -> str:
    folder = weights.locate_tokenizer(config)
    tokenizer = load_tokenizer(folder, config.lowercase)
    check_vocabulary(ensure_converted(config, weights), tokenizer.vocab_size)
    record = read_record(folder)
    if record is None:
        return f"{tokenizer.vocab_size} pieces in {folder}; there is no record to compare with"
    record.check(folder)
    return f"{tokenizer.vocab_size} pieces, as downloaded from {record.source}"


def _check_probe(config: ModelConfig, weights: WeightsFolder) -> str:
    """Load every tensor strictly, and run the probe beside a shorter item, which must not change the vector."""
    path = ensure_converted(config, weights)
    tokenizer = load_tokenizer(weights.locate_tokenizer(config), config.lowercase)
    digest = read_digest(path)
    model = EmbeddingModel(config, tokenizer, TorchBackend(path, config, device="cpu", dtype="float32"), digest)
    expected = find_expected_vectors(path, config, tokenizer, digest=digest)
    errors = {}
    for tower, item in make_probe_items(config, tokenizer).items():
        got = model.encode(tower, [item, item[:2]])[0]  # type: ignore[arg-type]
        errors[tower] = measure_error(got, expected[tower])
    text = ", ".join(f"{tower} off by {error:.1e}" for tower, error in errors.items())
    if not np.all(np.array(list(errors.values())) <= TOLERANCE["float32"]):
        raise DigestMismatchError(f"{path} gives other vectors than recorded: {text} of the largest value")
    return f"all tensors fit; {text} of the largest value"
