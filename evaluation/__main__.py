"""Evaluate a model on a data set: `python -m evaluation MODEL DATASET ROOT`."""

import argparse
import logging
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from corpora.arrays import Float32Array
from corpora.cache import FeatureCache
from corpora.errors import CorpusError
from corpora.registry import CORPORA, DATA, read_corpus
from evaluation.arguments import OUTPUT, build_parser
from evaluation.clips import ReadingOptions
from evaluation.errors import EvaluationError
from evaluation.evaluation import (
    EvaluationSettings,
    ProbeSettings,
    embed_corpus,
    evaluate,
    run_probes,
)
from evaluation.identification import format_identification
from evaluation.protocols import Protocol, read_protocol
from evaluation.provenance import read_training_record
from evaluation.published import Published, find_published_test, read_published
from evaluation.results import write_run
from evaluation.tables import compare_runs, list_probes
from evaluation.terminal import show_probes, show_protocol, show_results
from evaluation.vocabulary import (
    find_common_texts,
    read_vocabulary,
)
from models.backends.choice import choose_device, choose_dtype, make_backend
from models.catalog import CONFIGS, Catalog, ModelConfig
from models.embedding import EmbeddingModel
from models.errors import ModelsError
from models.registry import Registry, find_model
from poses import PoseError
from processes.commands import print_error


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate a model.

    Returns:
        The exit status: 0 success, 1 the model or the data set cannot be evaluated, 2 usage error, 130 interrupted.
    """
    parser = build_parser()
    options = parser.parse_intermixed_args(arguments)
    if options.protocol is None and options.dataset is None:
        parser.error("name a DATASET, or a --protocol")
    logging.basicConfig(level=logging.WARNING)
    try:
        _run(options)
    except (CorpusError, EvaluationError, ModelsError, PoseError, OSError) as error:
        print_error(error)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _run(options: argparse.Namespace) -> None:
    protocol = None if options.protocol is None else read_protocol(options.protocol)
    if protocol is not None:
        _follow(protocol, options)
    _check_parts(options)
    published = read_published()
    _warn_if_unpublished(options.experiment, options.dataset, published)
    vocabulary = None
    if options.in_vocabulary is not None:
        vocabulary = find_vocabulary(options.in_vocabulary, over=options.vocabulary_over)
    root = options.root or DATA / options.dataset
    corpus = read_corpus(options.dataset, root, options.split)
    reading = ReadingOptions(None if options.cache is None else FeatureCache(options.cache), options.workers)
    model, training = load_model(options.model, options.weights_dir, device=options.device, dtype=options.dtype)
    settings = _build_settings(options, model.config)
    watch = partial(_show_progress, total=len(corpus), what=f"{corpus.name} {options.split}")
    metrics, vectors, results = evaluate(
        model, corpus, settings=settings, vocabulary=vocabulary, reading=reading, watch=watch
    )
    metrics = {
        "experiment": options.experiment,
        **metrics,
        "split": options.split,
        "training": training,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if options.probes:
        support = None
        if options.learn_from != options.split:
            learned = read_corpus(options.dataset, root, options.learn_from)
            watch = partial(_show_progress, total=len(learned), what=f"{corpus.name} {options.learn_from}")
            support, left_out = embed_corpus(
                model, learned, settings=settings, vocabulary=vocabulary, reading=reading, watch=watch
            )
            skipped = {note.id: note.reason for note in learned.skipped} | left_out
            metrics["learned_from"] = {"split": options.learn_from, "clips": len(support.ids), "skipped": skipped}
        device = choose_device(options.device)
        probes = ProbeSettings(options.probes, options.shots, range(options.seeds), options.neighbours, device)
        metrics["probes"] = run_probes(vectors, support, settings=probes)
    if protocol is not None:
        whole = read_corpus(options.dataset, root, "all")
        metrics["protocol"] = protocol.measure(model, whole, vectors, score=options.score)
    probed = bool(options.probes)
    out = options.out or name_folder(options.model, corpus.name, split=options.split, settings=settings, probed=probed)
    write_run(out, metrics, vectors=vectors, results=results)
    _show(metrics, published)
    print(f"results are in {out}")


def _follow(protocol: Protocol, options: argparse.Namespace) -> None:
    # With a protocol the first place after the model is the data set's folder, because the protocol names the data set.
    options.root = None if options.dataset is None else Path(options.dataset)
    options.dataset, options.split = protocol.dataset, protocol.split
    options.task, options.no_tags = protocol.task, not protocol.tagged


def _check_parts(options: argparse.Namespace) -> None:
    parts = {options.split, options.learn_from}
    if options.probes and len(parts) > 1 and "all" in parts:
        raise EvaluationError(
            f"probes would classify clips that they learned from: --split {options.split} and --learn-from "
            f"{options.learn_from} have clips in common. Name two of train, val and test; or the same part twice, of "
            "which the drawn clips are not classified"
        )


def _show(metrics: dict[str, Any], published: Published) -> None:
    print(show_results(compare_runs([metrics], published), [metrics["intervals"]]))
    if "identification" in metrics:
        print(format_identification(metrics["identification"]))
    if "protocol" in metrics:
        print(show_protocol(metrics["protocol"]))
    for warning in [*metrics["warnings"], *metrics.get("protocol", {}).get("warnings", ())]:
        print(f"warning: {warning}", file=sys.stderr)
    if probes := list_probes(metrics):
        print(show_probes(probes))
    elif "probes" in metrics:
        print(
            "warning: no probe ran, because no clip is left to classify: --learn-from has no class of the clips or, "
            "if it is the same part, no class has two clips",
            file=sys.stderr,
        )
    _show_skipped(metrics["skipped"])
    if "learned_from" in metrics:
        _show_skipped(metrics["learned_from"]["skipped"], of=f" of {metrics['learned_from']['split']}")


def _show_skipped(skipped: Mapping[str, str], *, of: str = "") -> None:
    if skipped:
        (reason, count), *others = Counter(skipped.values()).most_common()
        print(f"{len(skipped)} clips{of} were left out; metrics.json lists the reasons", file=sys.stderr)
        print(f"{count} of them: {reason}{f'; and {len(others)} other reasons' * bool(others)}", file=sys.stderr)


def _build_settings(options: argparse.Namespace, config: ModelConfig) -> EvaluationSettings:
    return EvaluationSettings(
        task=options.task,
        tagged=not options.no_tags,
        flip=options.flip,
        anonymize=options.anonymize,
        trim=options.trim or config.trim,
        skip_long=options.skip_long,
        score=options.score,
        vocabulary=options.in_vocabulary,
        labels=options.labels,
        sign_languages=tuple(options.sign_languages),
    )


def _warn_if_unpublished(experiment: str | None, dataset: str, published: Published) -> None:
    if experiment is None or find_published_test(published, experiment, dataset) is not None:
        return
    if experiment in published:
        print(f"warning: no metrics of {experiment} on {dataset} are published", file=sys.stderr)
        return
    if (CONFIGS.parent / "experiments" / f"{experiment}.yaml").is_file():
        return  # An experiment of this project, or one whose metrics the authors do not publish.
    near = get_close_matches(experiment, published, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    print(f"warning: no metrics of an experiment {experiment} are published{hint}", file=sys.stderr)


def name_folder(model: str, dataset: str, *, split: str, settings: EvaluationSettings, probed: bool) -> Path:
    """Name the default folder of an evaluation. Evaluations with different settings have different folders."""
    words = [model.rstrip("/").rpartition("/")[2], dataset, *([] if split == "test" else [split]), settings.describe()]
    words += ["probes"] * probed
    return OUTPUT / "-".join(re.sub(r"[^\w.]+", "_", word) for word in words)


def load_model(
    name: str, weights_dir: Path | None, *, device: str, dtype: str
) -> tuple[EmbeddingModel, dict[str, Any] | None]:
    """Load a model of the catalog, or one that a training run wrote.

    Args:
        name: of a model in the catalog, or a folder that holds config.yaml.
        weights_dir: folder of all weights; None: the service's.
        device, dtype: as for the service.
    Returns:
        The model, and how it was trained, if its folder says so; see read_training_record.
    Raises:
        ModelsError: the model is unknown, its weights are missing or damaged, or the device is not available.
    """
    config, weights = find_model(name, weights_dir=weights_dir)
    device = choose_device(device)
    dtype = choose_dtype(dtype, device)
    factory = partial(make_backend, backend="auto", device=device, dtype=dtype, threads=None)
    model = Registry(Catalog({config.name: config}), weights, make_backend=factory).get(config.name)
    return model, read_training_record(weights.locate_folder(config))


def find_vocabulary(where: str, *, over: int) -> frozenset[str]:
    """Read a vocabulary from a file, or from the training part of a data set given as NAME:ROOT.

    Args:
        over: texts with at most this many clips are left out.
    Raises:
        CorpusError, VocabularyError, OSError: the data set or the file cannot be read.
    """
    name, colon, root = where.partition(":")
    if not colon or name not in CORPORA:
        return read_vocabulary(Path(where), over=over)
    return find_common_texts(read_corpus(name, Path(root), "train").examples, over=over)


def _show_progress(clips: Iterable[Float32Array], *, total: int, what: str) -> Iterable[Float32Array]:
    shown: Iterable[Float32Array] = tqdm(clips, total=total, desc=what, unit=" clips", disable=None)
    return shown


if __name__ == "__main__":
    sys.exit(main())
