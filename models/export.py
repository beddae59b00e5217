"""Writes a model in the form that the authors' code loads: `python -m models.export FOLDER OUT.pt`.

FOLDER is the folder of a model, as training writes it, or a name in the catalog. OUT.pt has the layout of the released
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
from models.errors import ExportError, ModelsError
from models.registry import ensure_converted, find_model
from processes.commands import name_command, print_error
from processes.version import PRODUCT


def export(config: ModelConfig, weights: Path, target: Path) -> None:
    """Write a model as the authors' file.

    The file has no place for a logit scale. Without this factor the authors' dot products differ, but they rank alike.

    Args:
        config: of the model.
        weights: safetensors file of the model.
        target: `.pt` file to write.
    Raises:
        ExportError: the model reads hand geometry, or normalizes vectors without projecting them.
        CheckpointError: the weights do not fit the configuration.
        OSError: the file cannot be written, or the disk is full.
    """
    if config.pose_frontend != "mlp":
        raise ExportError(f"model {config.name!r} reads {config.pose_frontend}, which the authors' code does not have")
    if config.projection == "l2":
        raise ExportError(
            f"model {config.name!r} normalizes its vectors, which the authors' code does only after a projection"
        )
    load_model(weights, config)  # because only strict loading finds the weights of another model
    write_checkpoint(target, load_file(weights))


def main(arguments: Sequence[str] | None = None) -> int:
    """Export from the command line. The exit status is 0 when done, 1 when refused, 2 for a usage error."""
    parser = argparse.ArgumentParser(
        prog=name_command("models.export"), description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument(
        "model", metavar="FOLDER", help="a folder with config.yaml, or the name of a model in the catalog"
    )
    parser.add_argument("target", metavar="OUT.pt", type=Path)
    options = parser.parse_args(arguments)
    try:
        config, weights = find_model(options.model)
        export(config, ensure_converted(config, weights), options.target)
    except (ModelsError, OSError) as error:
        print_error(error)
        return 1
    print(f"{options.target} ({options.target.stat().st_size / 1e6:,.0f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
