"""The arguments of `python -m evaluation`."""

import argparse
from pathlib import Path
from typing import get_args

from corpora.examples import SPLITS
from corpora.prompts import TASKS
from corpora.published_files import VOCABULARY_FILE
from corpora.registry import CORPORA, DATA
from evaluation.evaluation import Labels
from evaluation.probing import Neighbours
from evaluation.protocols import list_protocols
from evaluation.results import ScoreKind
from evaluation.shots import PROBES, SHOTS, Shots
from evaluation.vocabulary import RARE_COUNT
from models.backends.choice import DTYPES
from poses.features import Flip
from poses.trim import Trim
from processes.commands import name_command, parse_positive
from processes.version import PRODUCT

DESCRIPTION = "Evaluate a model on a data set: `python -m evaluation MODEL DATASET ROOT`."
OUTPUT = Path("runs") / "evaluation"


def _parse_neighbours(word: str) -> Neighbours:
    return "sqrt" if word == "sqrt" else "shots" if word == "shots" else parse_positive(word)


def _parse_shots(word: str) -> Shots:
    return "all" if word == "all" else parse_positive(word)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of `python -m evaluation`."""
    parser = argparse.ArgumentParser(prog=name_command("evaluation"), description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument("model", metavar="MODEL", help="a name of the catalog, or a folder that training wrote")
    parser.add_argument("dataset", metavar="DATASET", nargs="?", help=", ".join(CORPORA))
    parser.add_argument("root", metavar="ROOT", nargs="?", type=Path, help="its folder (default: data/DATASET)")
    parser.add_argument(
        "--protocol",
        choices=list_protocols(),
        metavar="NAME",
        help=f"measure as a leaderboard does: MODEL --protocol NAME ROOT; {', '.join(list_protocols())}",
    )
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--out", type=Path, metavar="RUN_DIR", help=f"default: {OUTPUT}/MODEL-DATASET-SETTINGS")
    parser.add_argument("--experiment", help="name of a published experiment, whose metrics are printed beside ours")
    _add_prompt_arguments(parser)
    _add_clip_arguments(parser)
    _add_probe_arguments(parser)
    _add_machine_arguments(parser)
    return parser


def _add_prompt_arguments(parser: argparse.ArgumentParser) -> None:
    prompts = parser.add_argument_group("prompts and scores")
    prompts.add_argument("--task", choices=TASKS, default="retrieval")
    prompts.add_argument("--no-tags", action="store_true", help="prompts are the texts, without languages")
    prompts.add_argument(
        "--labels",
        choices=get_args(Labels),
        default="prompts",
        help="clips of one label are right answers to each other; decoded: as the authors do, prompts are equal when "
        "their word pieces are, of which unknown ones vanish (default: %(default)s)",
    )
    prompts.add_argument("--score", choices=get_args(ScoreKind), default="dot")
    prompts.add_argument(
        "--in-vocabulary",
        metavar="FILE|DATASET:ROOT",
        nargs="?",
        const=str(DATA / VOCABULARY_FILE),
        help="evaluate only texts of a list or CSV file (text, count), or of a data set's training part; without a "
        "value: of the authors' table, which `python -m corpora fetch vocabulary` brings (%(const)s)",
    )
    prompts.add_argument(
        "--vocabulary-over",
        type=int,
        default=RARE_COUNT,
        metavar="COUNT",
        help="leave texts with at most COUNT clips out of the vocabulary (default: %(default)s)",
    )


def _add_clip_arguments(parser: argparse.ArgumentParser) -> None:
    clips = parser.add_argument_group("clips")
    clips.add_argument(
        "--flip",
        choices=get_args(Flip),
        nargs="?",
        default="never",
        const="auto",
        help="mirror clips; auto, also the meaning of --flip alone: those whose right hand never moves; authors: their "
        "rule, which never mirrors a .pose file whose right hand was not seen at all",
    )
    clips.add_argument(
        "--sign-languages", nargs="+", default=[], metavar="TAG", help="leave out clips of other sign languages"
    )
    clips.add_argument("--anonymize", action="store_true", help="replace each signer's appearance by the average one")
    clips.add_argument("--trim", choices=get_args(Trim), help="auto: cut clips to the signing (default: the model's)")
    clips.add_argument("--skip-long", action="store_true", help="leave out clips over max_frames; else they are cut")


def _add_probe_arguments(parser: argparse.ArgumentParser) -> None:
    probes = parser.add_argument_group("probes of frozen embeddings")
    probes.add_argument("--probes", nargs="+", choices=PROBES, default=[], metavar="PROBE", help=", ".join(PROBES))
    probes.add_argument("--shots", nargs="+", type=_parse_shots, default=list(SHOTS), help="clips a class, or all")
    probes.add_argument("--seeds", type=parse_positive, default=5, help="number of draws (default: %(default)s)")
    probes.add_argument(
        "--neighbours",
        type=_parse_neighbours,
        default="shots",
        help="clips that vote in nearest_clips: as many as there are shots, a number, or sqrt: as the authors do, the "
        "square root of the number of learned clips (default: %(default)s)",
    )
    probes.add_argument(
        "--learn-from",
        choices=SPLITS,
        default="train",
        help="part to draw shots from, without a clip of SPLIT; if it is SPLIT itself, the drawn clips are not "
        "classified (default: %(default)s)",
    )


def _add_machine_arguments(parser: argparse.ArgumentParser) -> None:
    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "--weights-dir", type=Path, help="default: $SIGNCLIP_WEIGHTS_DIR, else weights/ of the project"
    )
    machine.add_argument("--cache", type=Path, help="folder that keeps features, so that clips are parsed only once")
    machine.add_argument("--workers", type=parse_positive, default=1, help="processes that parse clips (default: 1)")
    machine.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:0")
    machine.add_argument("--dtype", choices=DTYPES, default="float32")
