"""python -m models list | download NAME… | convert FILE|NAME | verify NAME…"""

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
from models.errors import CatalogError, ModelsError
from processes.version import PRODUCT

# Commands import what they need themselves: `list` answers at once, without torch.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0 done, 1 refused, 2 misspelt, 130 interrupted."""
    options = _parser().parse_args(arguments)
    weights = WeightsFolder(options.weights_dir or find_weights_dir())
    try:
        status: int = options.run(load_catalog(weights=weights.path), weights, options)
    except BrokenPipeError:  # `… list | head` is no fault; a flush at exit must not report it either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ModelsError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command resumes", file=sys.stderr)
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models", description="Models and their files on this machine.")
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument("--weights-dir", type=Path, help="default: $SIGNCLIP_WEIGHTS_DIR, else weights/ of the project")
    commands = parser.add_subparsers(required=True, metavar="list | download | convert | verify")

    listing = commands.add_parser("list", help="every model, and whether its files are here")
    listing.add_argument("--json", action="store_true", help="for programs")
    listing.set_defaults(run=list_models)

    download = commands.add_parser("download", help="fetch weights and tokenizers, and convert them; resumes")
    download.add_argument("names", nargs="+", metavar="NAME")
    download.add_argument("--force", action="store_true", help="fetch again what is here, start over what is half here")
    download.set_defaults(run=download_models)

    convert = commands.add_parser("convert", help="turn a checkpoint (.pt) into the safetensors file that is served")
    convert.add_argument("target", metavar="FILE|NAME", help="a .pt file, or a model whose folder holds one")
    convert.add_argument("--model", metavar="NAME", help="whose configuration a FILE fits; default: its folder's name")
    convert.set_defaults(run=convert_model)

    verify = commands.add_parser("verify", help="check digests, load strictly, run the probe")
    verify.add_argument("names", nargs="+", metavar="NAME")
    verify.set_defaults(run=verify_models)
    return parser


@dataclass(frozen=True)
class ListedModel:
    """One row of `list`."""

    name: str
    aliases: tuple[str, ...]
    state: str
    reason: str | None
    size_bytes: int
    path: str
    description: str


def list_models(catalog: Catalog, weights: WeightsFolder, options: argparse.Namespace) -> int:
    rows = [_row(config, weights) for config in catalog.values()]
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return 0
    name_width = max(len(row.name) for row in rows)
    for row in rows:
        size = f"{row.size_bytes / 1e6:,.0f} MB" if row.size_bytes else "-"
        print(f"{row.name:<{name_width}}  {row.state:<9}  {size:>8}  {row.description}")
    return 0


def _row(config: ModelConfig, weights: WeightsFolder) -> ListedModel:
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


def download_models(catalog: Catalog, weights: WeightsFolder, options: argparse.Namespace) -> int:
    from models.download import fetch

    # Models that share a folder are fetched once.
    for config in {config.folder: config for config in map(catalog.resolve, options.names)}.values():
        fetched = fetch(config, weights, force=options.force)
        for what, is_new in (("checkpoint", fetched.checkpoint), ("tokenizer", fetched.tokenizer)):
            print(f"{config.name}: {what} {'fetched' if is_new else 'was here, unchanged'}")
        print(f"{config.name}: ready in {fetched.path}")
    return 0


def convert_model(catalog: Catalog, weights: WeightsFolder, options: argparse.Namespace) -> int:
    from models.checkpoints.authors import convert

    if options.target in catalog or not options.target.endswith(".pt"):
        config = catalog.resolve(options.target)
        checkpoint = weights.locate_checkpoint(config)
    else:
        checkpoint = Path(options.target)
        name = options.model or checkpoint.absolute().parent.name
        if options.model is None and name not in catalog:
            raise CatalogError(f"{checkpoint}: its folder {name!r} names no model; say which with --model NAME")
        config = catalog.resolve(name)
    if not checkpoint.is_file():
        raise CatalogError(f"{checkpoint} is not there; nothing to convert")
    target = (
        checkpoint.with_name(CONVERTED) if checkpoint.name == CHECKPOINT else checkpoint.with_suffix(".safetensors")
    )
    digest = convert(checkpoint, target, config)
    print(f"{target} ({target.stat().st_size / 1e6:,.0f} MB) from {checkpoint.name}, SHA-256 {digest}")
    return 0


def verify_models(catalog: Catalog, weights: WeightsFolder, options: argparse.Namespace) -> int:
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
