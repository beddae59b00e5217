"""Errors between a model's name and its embeddings.

ModelsError
├── CatalogError              a configuration file does not describe a model
├── UnknownModelError         no model has this name or alias
├── WeightsMissingError       the model is known, but its weights or tokenizer are not on this machine
├── CheckpointError
│   ├── CheckpointFormatError the file is not a readable checkpoint
│   └── TensorMismatchError   a tensor is missing, unexpected or of another shape
├── DownloadError             the weights or the tokenizer could not be downloaded
├── ExportError               a model computes something that the authors' code cannot
├── DigestMismatchError       a file is not the file that was recorded
├── TokenizerError            a folder holds no readable BERT tokenizer
├── BackgroundError           the background beside a model's weights cannot be used
├── UnknownLanguageError      no sign language has this tag, name or alias
├── BackendError              a backend, device or number format that this machine does not have
└── ShapeError                an array of the wrong shape reached a tower
"""

from collections.abc import Iterable
from difflib import get_close_matches


class ModelsError(Exception):
    """Root of this tree; `code` names the class in answers and logs."""

    code = "model_error"


class CatalogError(ModelsError):
    code = "catalog_invalid"


class UnknownModelError(ModelsError):
    code = "model_unknown"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = sorted(known)
        near = get_close_matches(name, self.known, n=1)
        if "/" in name:
            hint = f" There is no {name.rstrip('/')}/config.yaml either, which training writes beside its weights."
        else:
            hint = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(f"there is no model {name!r}.{hint} Models: {', '.join(self.known)}")


class WeightsMissingError(ModelsError):
    code = "weights_missing"

    def __init__(self, name: str, what: str, command: str) -> None:
        self.name = name
        self.command = command
        super().__init__(f"model {name!r} has no {what} on this machine; to have it: {command}")


class CheckpointError(ModelsError):
    code = "checkpoint_invalid"


class CheckpointFormatError(CheckpointError):
    code = "checkpoint_unreadable"


class TensorMismatchError(CheckpointError):
    code = "checkpoint_mismatch"

    def __init__(self, source: str, problems: list[str]) -> None:
        self.problems = problems
        shown = "; ".join(problems[:8]) + (f"; and {len(problems) - 8} more" if len(problems) > 8 else "")
        super().__init__(f"{source} does not fit the model: {shown}")


class DownloadError(ModelsError):
    code = "download_failed"


class ExportError(ModelsError):
    code = "export_impossible"


class DigestMismatchError(ModelsError):
    code = "digest_mismatch"


class TokenizerError(ModelsError):
    code = "tokenizer_invalid"


class BackgroundError(ModelsError):
    code = "background_invalid"


class UnknownLanguageError(ModelsError):
    code = "language_unknown"


class BackendError(ModelsError):
    code = "backend_unavailable"


class ShapeError(ModelsError):
    code = "shape_invalid"
