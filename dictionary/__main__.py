"""Index clips, query, report, spot signs, calibrate: `python -m dictionary COMMAND`."""

import argparse
import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from corpora.errors import CorpusError
from corpora.examples import Example
from corpora.readers.media import is_video
from dictionary.arguments import build_parser
from dictionary.calibration import build_background, read_texts
from dictionary.demo import COLLECTION, find_service_key, list_letters, wait_until_ready
from dictionary.embedding import Embedder
from dictionary.errors import DictionaryError
from dictionary.interface import Dictionary, OnProgress, Question
from dictionary.local import LocalDictionary
from dictionary.remote import RemoteDictionary
from dictionary.sources import choose_new, list_clips
from dictionary.videos import estimate_clips, estimate_file, split_into_batches
from models.background import locate_background, write_background
from models.errors import ModelsError
from models.languages import warn_of_language
from poses.errors import PoseError
from processes.commands import print_error
from processes.files import write_file
from processes.settings import SettingsError
from search.annotations import Find, write_csv, write_eaf, write_vtt
from search.errors import SearchError
from search.opening import open_store
from search.settings import SearchSettings

_WRITERS: Mapping[str, Callable[[Sequence[Find]], str]] = {
    ".eaf": write_eaf,
    ".vtt": write_vtt,
    ".csv": write_csv,
    ".json": lambda finds: json.dumps([asdict(find) for find in finds], indent=1, ensure_ascii=False) + "\n",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0 success, 1 it failed or clips were left out, 2 usage error, 130 interrupted.
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.command == "query" and (options.clip is None) == (options.text is None):
        given = "both were given; leave one out" if options.clip else "neither was given"
        parser.error(f"query needs a clip or --text; {given}")
    if options.command == "spot" and bool(options.query) == (options.collection is not None):
        given = "both were given; leave one out" if options.query else "neither was given"
        parser.error(f"spot needs --query or --collection; {given}")
    if getattr(options, "out", None) and options.command == "spot" and options.out.suffix not in _WRITERS:
        parser.error(f"--out is {options.out.name}; a file ending in {', '.join(_WRITERS)} is needed")
    warn_of_language(getattr(options, "sign_language", None))
    try:
        if options.command == "calibrate":
            return _calibrate(options)
        with _open(options) as dictionary:
            return _COMMANDS[options.command](dictionary, options)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    except (DictionaryError, SearchError, ModelsError, CorpusError, PoseError, SettingsError, OSError) as error:
        print_error(error)
        return 1


@contextmanager
def _open(options: argparse.Namespace) -> Iterator[Dictionary]:
    """Open the dictionary of a service, or one in this process."""
    if options.url is not None:
        api_key = options.api_key or (find_service_key() if options.command == "demo" else None)
        yield RemoteDictionary(options.url, api_key=api_key, model_name=options.model)
        return
    store = open_store(SearchSettings.from_environment())
    try:
        yield LocalDictionary(store, Embedder(options.model))
    finally:
        store.close()


def _demo(dictionary: Dictionary, options: argparse.Namespace) -> int:
    if options.url is not None:
        wait_until_ready(options.url)
    letters, _ = list_letters()
    options.collection = COLLECTION
    return _store_new(dictionary, letters, options, {})


def _index(dictionary: Dictionary, options: argparse.Namespace) -> int:
    clips, skipped = list_clips(options.source, sign_language=options.sign_language)
    return _store_new(dictionary, clips, options, {note.id: note.reason for note in skipped})


def _store_new(
    dictionary: Dictionary, clips: Sequence[Example], options: argparse.Namespace, failures: dict[str, str]
) -> int:
    new = choose_new(clips, dictionary.open_collection(options.collection, clips))
    failed: dict[str, str] = {}
    with tqdm(total=len(clips), initial=len(clips) - len(new), unit="clip", disable=not sys.stderr.isatty()) as bar:

        def show_videos(done: int, total: int) -> None:
            bar.set_postfix_str(f"{done} of {total} videos estimated")

        for batch in split_into_batches(new):
            with estimate_clips(batch, jobs=options.jobs, on_progress=show_videos) as estimated:
                failed |= estimated.failures
                if estimated.clips:
                    failed |= dictionary.store(options.collection, estimated.clips)
            bar.update(len(batch))
    failures |= failed
    stored, present = len(new) - len(failed), len(clips) - len(new)
    print(f"{stored} clips stored in {options.collection}, {present} were there, {len(failures)} failed")
    if not failures:
        return 0
    if options.failures is None:  # a service starts the demonstration in a folder that it may not write
        for name, reason in sorted(failures.items()):
            print(f"{name}: {reason}", file=sys.stderr)
        return 1
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["id", "reason"])
    writer.writerows(sorted(failures.items()))
    write_file(options.failures, file.getvalue())
    print(f"{options.failures} lists what failed", file=sys.stderr)
    return 1


def _query(dictionary: Dictionary, options: argparse.Namespace) -> int:
    language, k = options.sign_language, options.k
    if options.clip is None:
        found = dictionary.search(options.collection, clip=None, text=options.text, sign_language=language, k=k)
    else:
        with estimate_file(options.clip) as clip:
            found = dictionary.search(options.collection, clip=clip, text=None, sign_language=language, k=k)
    for hit in found["hits"]:
        print(f"{hit['rank']:>3}  {hit['score']:.4f}  {hit.get('gloss', ''):20} {hit['id']}")
    classified = found.get("classified")
    if classified is not None:
        verdict = "rejected" if classified["rejected"] else f"probability {classified['probability']:.2f}"
        reason = f" ({classified['reason']})" if classified.get("reason") else ""
        print(f"{classified['label']}: {verdict}{reason}")
    return 0


def _report(dictionary: Dictionary, options: argparse.Namespace) -> int:
    found = dictionary.report(options.collection, options.method)
    print(f"{found['examples']} clips of {found['labels']} glosses; {found['tested']} have others of their gloss")
    shown = ("-" if share is None else f"{100 * share:.1f} %" for share in found["recall"].values())
    print("  ".join(f"{name} {share}" for name, share in zip(found["recall"], shown, strict=True)))
    for pair in found["confused"]:
        print(f"{pair['times']:>3} × {pair['label']} taken for {pair['taken_for']}")
    for label, count in found["too_few"].items():
        print(f"{label}: only {count} clips")
    return 0


def _spot(dictionary: Dictionary, options: argparse.Namespace) -> int:
    question = Question(options.query, options.collection, options.sign_language, options.threshold, rate=options.rate)
    with tqdm(disable=not sys.stderr.isatty()) as bar, estimate_file(options.recording) as recording:
        finds = dictionary.spot(recording, question, _follow(bar))
    if options.out is not None:
        write_file(options.out, _write_finds(finds, options))
        print(f"{len(finds)} finds in {options.out}")
        return 0
    for find in finds:
        print(f"{find.start_s:9.2f} {find.end_s:9.2f}  {find.score:8.3f}  {find.label}")
    return 0


def _write_finds(finds: Sequence[Find], options: argparse.Namespace) -> str:
    if options.out.suffix == ".eaf" and is_video(options.recording):
        return write_eaf(finds, media=options.recording, folder=options.out.parent)
    return _WRITERS[options.out.suffix](finds)


def _calibrate(options: argparse.Namespace) -> int:
    clips = [clip for source in options.sources for clip in list_clips(source)[0]]
    texts = [] if options.texts is None else read_texts(options.texts)
    embedder = Embedder(options.model)
    with tqdm(unit="clip", disable=not sys.stderr.isatty()) as bar:
        background, failures = build_background(
            embedder, clips, texts=texts, noise=options.noise, on_progress=_follow(bar)
        )
    path: Path = options.out or locate_background(embedder.weights, embedder.config)
    write_background(path, background)
    print(f"{path}: {background.about}")
    for clip_id, reason in sorted(failures.items()):
        print(f"left out: {clip_id}: {reason}", file=sys.stderr)
    return 0


def _follow(bar: Any) -> OnProgress:
    def on_progress(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return on_progress


_COMMANDS: Mapping[str, Callable[[Dictionary, argparse.Namespace], int]] = {
    "demo": _demo,
    "index": _index,
    "query": _query,
    "report": _report,
    "spot": _spot,
}

if __name__ == "__main__":
    sys.exit(main())
