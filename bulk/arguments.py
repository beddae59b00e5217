"""The arguments of `python -m bulk`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from bulk.folder import POSE_EVALUATION
from bulk.options import EmbedOptions
from corpora.examples import SPLITS
from models.backends.choice import DTYPES
from poses.features import Flip
from poses.trim import Trim
from processes.commands import name_command, parse_positive, parse_share
from processes.cores import count_cores
from processes.version import PRODUCT

_DEFAULTS = EmbedOptions()


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of `python -m bulk`."""
    parser = argparse.ArgumentParser(
        prog=name_command("bulk"),
        description="Embed a data set: clips and texts in, Parquet files of vectors out. The same command goes on "
        "where a run stopped.",
    )
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a folder of clips, a manifest (.csv, .jsonl, .parquet), a pattern or an address",
    )
    parser.add_argument("--model", required=True, metavar="NAME", help="of the catalog, or a folder with config.yaml")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the vectors go")
    parser.add_argument("--corpus", metavar="NAME", help="SOURCE is the folder of this data set (signclip corpora)")
    parser.add_argument("--split", choices=SPLITS, default="all", help="part of the data set (default: %(default)s)")
    parser.add_argument("--sign-language", metavar="TAG", help="of items that name none")
    parser.add_argument("--retry-failed", action="store_true", help="try what failed before, and nothing else")
    parser.add_argument("--layout", choices=(POSE_EVALUATION,), help="write <id>-using-model-<name>.npy files, too")
    _add_clip_options(parser.add_argument_group("clips and texts"))
    machine = parser.add_argument_group("machines")
    machine.add_argument(
        "--jobs",
        type=parse_positive,
        default=count_cores(),
        metavar="N",
        help="processes that prepare clips (default: the cores)",
    )
    machine.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:0 (default: %(default)s)")
    machine.add_argument("--dtype", choices=DTYPES, default="auto", help="number format (default: %(default)s)")
    machine.add_argument(
        "--ray",
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="work on a Ray cluster: auto for that of this machine; without ADDRESS a cluster is started for the run",
    )
    return parser


def read_embed_options(options: argparse.Namespace) -> EmbedOptions:
    """Read what decides the vectors."""
    return EmbedOptions(
        flip=options.flip,
        anonymize=options.anonymize,
        trim=options.trim,
        person=options.person,
        truncate=options.truncate,
        allow_no_hands=options.allow_no_hands,
        min_seen=options.min_seen,
        quality=not options.no_quality,
    )


def _add_clip_options(clips: argparse._ArgumentGroup) -> None:
    flips = [word for word in get_args(Flip) if word != "authors"]
    clips.add_argument("--flip", choices=flips, default=_DEFAULTS.flip, help="mirror clips (default: %(default)s)")
    clips.add_argument("--anonymize", action="store_true", help="remove the signers' appearance first")
    clips.add_argument("--trim", choices=get_args(Trim), help="auto: cut clips to the signing (default: the model's)")
    clips.add_argument("--person", type=int, metavar="N", help="number of the person in files that hold several")
    clips.add_argument("--truncate", action="store_true", help="cut what is too long for the model; else it fails")
    clips.add_argument("--no-quality", action="store_true", help="leave out the reports on clips, which saves time")
    clips.add_argument("--allow-no-hands", action="store_true", help="embed clips without a hand in any frame, too")
    clips.add_argument(
        "--min-seen",
        type=parse_share,
        default=_DEFAULTS.min_seen,
        metavar="SHARE",
        help="least share of a video's frames in which somebody is seen (default: %(default)s)",
    )
