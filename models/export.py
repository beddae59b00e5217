"""Write a model as the authors' code loads it: `python -m models.export FOLDER OUT.pt`.

FOLDER is a model's, as training writes it, or a name in the catalog. OUT.pt has the layout of the released
checkpoints: `mmmodel.…` tensors under "model", beside the keys that fairseq's trainer writes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file

from models.catalog import ModelConfig
from models.checkpoints.authors import write_checkpoint
from models.checkpoints.loading import load_model
from models.errors import ModelsError
from models.registry import ensure_converted, find_model


class ExportError(ModelsError):
    """A model computes something that the authors' code cannot."""

    code = "export_impossible"


def export(config: ModelConfig, weights: Path, target: Path) -> None:
    """Write a model as the authors' file.

    A logit scale has no place in it: the authors' dot products lack that factor, and rank alike.

    Args:
        config: of the model.
        weights: its safetensors file.
        target: the file to write.
    Raises:
        ExportError: it reads hand geometry, or normalizes vectors without projecting them.
        CheckpointError: the weights do not fit the configuration.
    """
    if config.pose_frontend != "mlp":
        raise ExportError(f"model {config.name!r} reads {config.pose_frontend}, which the authors' code does not have")
    if config.projection == "l2":
        raise ExportError(f"model {config.name!r} normalizes its vectors, which the authors' code does when projecting")
    load_model(weights, config)  # strictly: nothing else tells a file of another model
    write_checkpoint(target, load_file(weights))


def main(arguments: Sequence[str] | None = None) -> int:
    """Export from the command line; the exit status: 0 done, 1 refused, 2 usage error."""
    parser = argparse.ArgumentParser(
        prog="python -m models.export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="FOLDER", help="a model's folder with config.yaml, or a name in the catalog")
    parser.add_argument("target", metavar="OUT.pt", type=Path)
    options = parser.parse_args(arguments)
    try:
        config, weights = find_model(options.model)
        export(config, ensure_converted(config, weights), options.target)
    except (ModelsError, OSError, RuntimeError) as error:  # torch's own of a folder that is none
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{options.target} ({options.target.stat().st_size / 1e6:,.0f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
