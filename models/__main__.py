"""`python -m models list | download NAME… | convert FILE|NAME | verify NAME…`."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from models.catalog import Catalog, ModelConfig, load_catalog
from models.checkpoints.folders import (
    CHECKPOINT,
    CONVERTED,
    WeightsFolder,
    find_weights_dir,
)
from models.errors import CatalogError, DownloadError, ModelsError
from processes.commands import name_command, print_error
from processes.version import PRODUCT

# Each command imports what it needs, so that `list` answers at once, without torch.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. The exit status is 0 when done, 1 when refused, 2 for a usage error, 130 when interrupted."""
    options = _build_parser().parse_args(arguments)
    weights = WeightsFolder(options.weights_dir or find_weights_dir())
    try:
        status: int = options.run(load_catalog(weights=weights.path), weights, options)
    except BrokenPipeError:  # `… list | head` is no error, and the flush at exit must not report one either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ModelsError, OSError) as error:
        print_error(error)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command resumes", file=sys.stderr)
        return 130
    return status


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name_command("models"), description="Models and their files on this machine.")
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument("--weights-dir", type=Path, help="default: $SIGNCLIP_WEIGHTS_DIR, else weights/ of the project")
    commands = parser.add_subparsers(required=True, metavar="list | download | convert | verify")

    listing = commands.add_parser("list", help="print every model, and whether its files are here")
    listing.add_argument("--json", action="store_true", help="print JSON, for programs")
    listing.set_defaults(run=list_models)

    download = commands.add_parser("download", help="fetch weights and tokenizers, and convert them; resumes")
    download.add_argument("names", nargs="+", metavar="NAME")
    download.add_argument(
        "--force", action="store_true", help="fetch files again that are here, and discard half a download"
    )
    download.set_defaults(run=download_models)

    convert = commands.add_parser("convert", help="turn a checkpoint (.pt) into the safetensors file that is served")
    convert.add_argument(
        "target", metavar="FILE|NAME", help="a .pt file, or the name of a model whose folder holds one"
    )
    convert.add_argument(
        "--model", metavar="NAME", help="the model that FILE belongs to; default: the name of the folder it lies in"
    )
    convert.set_defaults(run=convert_model)

    verify = commands.add_parser("verify", help="check digests, load strictly, run the probe")
    verify.add_argument("names", nargs="+", metavar="NAME")
    verify.set_defaults(run=verify_models)
    return parser


@dataclass(frozen=True)
class ListedModel:
    """One model as `list` prints it."""

    name: str
    aliases: tuple[str, ...]
    state: str
    reason: str | None
    size_bytes: int
    path: str
    description: str


def list_models(catalog: Catalog, weights: WeightsFolder, options: argparse.Namespace) -> int:
    """Print every model of the catalog and whether its files are on this machine; returns the exit status."""
    rows = [_describe(config, weights) for config in catalog.values()]
    rows += [_describe_broken(name, error, weights) for name, error in catalog.broken.items()]
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return 0
    name_width = max(len(row.name) for row in rows)
    for row in rows:
        size = f"{row.size_bytes / 1e6:,.0f} MB" if row.size_bytes else "-"
        print(f"{row.name:<{name_width}}  {row.state:<9}  {size:>8}  {row.description}")
    return 0


def _describe(config: ModelConfig, weights: WeightsFolder) -> ListedModel:
    missing = weights.find_missing(config)
    folder = weights.locate_folder(config)
    return ListedModel(
        name=config.name,
        aliases=config.aliases,
        state="missing" if missing else "available",
        reason=str(missing) if missing else None,
        size_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        path=str(folder),
        description=config.description,
    )


def _describe_broken(name: str, error: CatalogError, weights: WeightsFolder) -> ListedModel:
    path = weights.path / name
    return ListedModel(
        name=name, aliases=(), state="failed", reason=str(error), size_bytes=0, path=str(path), description=str(error)
    )


def download_models(catalog: Catalog, weights: WeightsFolder, options: argparse.Namespace) -> int:
    """Fetch the weights and tokenizers of models and convert them; returns the exit status.

    Raises:
        UnknownModelError: a name is in no catalog.
        DownloadError, DigestMismatchError, CheckpointError: see models.download.fetch.
    """
    from models.by_hand import describe_by_hand
    from models.download import fetch

    # Models may share a folder, which is fetched once.
    for config in {config.folder: config for config in map(catalog.resolve, options.names)}.values():
        try:
            fetched = fetch(config, weights, force=options.force)
        except DownloadError:
            if config.download is not None:
                print(describe_by_hand(config, weights), file=sys.stderr)
            raise
        for what, is_new in (("checkpoint", fetched.checkpoint), ("tokenizer", fetched.tokenizer)):
            print(f"{config.name}: {what} {'downloaded' if is_new else 'was here, unchanged'}")
        print(f"{config.name}: ready in {fetched.path}")
    return 0


def convert_model(catalog: Catalog, weights: WeightsFolder, options: argparse.Namespace) -> int:
    """Turn a checkpoint into the safetensors file that is served; returns the exit status.

    Raises:
        UnknownModelError: the name is in no catalog.
        CatalogError: the file does not exist, or nothing says which model it is of.
        CheckpointError: the checkpoint does not fit the model.
    """
    from models.checkpoints.authors import convert

    if options.target in catalog or not options.target.endswith(".pt"):
        config = catalog.resolve(options.target)
        checkpoint = weights.locate_checkpoint(config)
    else:
        checkpoint = Path(options.target)
        name = options.model or checkpoint.absolute().parent.name
        if options.model is None and name not in catalog:
            raise CatalogError(
                f"{checkpoint}: its folder {name!r} is no model's name; give the model with --model NAME"
            )
        config = catalog.resolve(name)
    if not checkpoint.is_file():
        raise CatalogError(f"{checkpoint} does not exist, so there is nothing to convert")
    target = (
        checkpoint.with_name(CONVERTED) if checkpoint.name == CHECKPOINT else checkpoint.with_suffix(".safetensors")
    )
    digest = convert(checkpoint, target, config)
    print(f"{target} ({target.stat().st_size / 1e6:,.0f} MB) from {checkpoint.name}, SHA-256 {digest}")
    return 0


def verify_models(catalog: Catalog, weights: WeightsFolder, options: argparse.Namespace) -> int:
    """Check the files of models and print what was found; returns the exit status, 1 if a model must not be served.

    Raises:
        UnknownModelError: a name is in no catalog.
        WeightsMissingError: a model has no files on this machine.
    """
    from models.verification import verify

    failed = []
    for config in map(catalog.resolve, options.names):
        for finding in verify(config, weights):
            print(f"{config.name}: {finding.what:<10} {'ok' if finding.ok else 'FAILED'}: {finding.detail}")
            failed += [] if finding.ok else [f"{config.name} ({finding.what})"]
    if failed:
        print(f"error: do not serve {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
