"""Several processes write and read one store at once; one of them is killed in the middle of its writes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter

import pytest

from search.errors import StoreError, StoreFullError
from search.lance_errors import translate_errors
from search.opening import open_store
from search.settings import SearchSettings
from tests.running import ROOT
from tests.search.entries import DIMENSIONS, SPACE, make_entries, make_vectors
from tests.search.writer import BATCH

BATCHES = 12


@pytest.fixture
def search_settings(settings_of_each_kind):
    return settings_of_each_kind


# The killed writer has many more than it can write until then.
ENDLESS = 10_000


def start_writer(place: str, name: str, batches: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.search.writer", place, name, str(batches)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_nothing_acknowledged_is_lost_nothing_is_double_and_no_batch_is_half(store, search_settings):
    writers = {
        name: start_writer(search_settings.dir, name, batches)
        for name, batches in (("a", BATCHES), ("b", BATCHES), ("killed", ENDLESS))
    }
    acknowledged: dict[str, list[int]] = {name: [] for name in writers}
    try:
        for process in writers.values():
            assert process.stdout.readline() == "ready\n"
        for process in writers.values():  # all at once
            process.stdin.write("go\n")
            process.stdin.flush()
        for name in ("killed", "a", "b"):
            process = writers[name]
            for line in process.stdout:
                acknowledged[name].append(int(line))
                # What another process has stored is there for this one at once.
                last = f"{name}-{int(line):03d}-{BATCH - 1:06d}"
                assert list(store.find_entries("words", [last])) == [last]
                store.upsert("words", make_entries(make_vectors(1), prefix=f"own-{name}-{line.strip()}-"))
                if name == "killed" and len(acknowledged[name]) == 5:
                    process.send_signal(signal.SIGKILL)
            process.wait(60)
    finally:
        for process in writers.values():
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
    assert [writers[name].returncode for name in writers] == [0, 0, -signal.SIGKILL]
    ids = Counter(entry.id for batch in store.iterate("words", with_pose=False) for entry in batch)
    assert max(ids.values()) == 1
    batches = Counter(entry_id.rpartition("-")[0] for entry_id in ids)
    assert batches.pop("shared") == 1
    own = {batch for batch in batches if batch.startswith("own-")}
    assert len(own) == sum(map(len, acknowledged.values()))
    assert {batches[batch] for batch in set(batches) - own} == {BATCH}
    expected = {f"{name}-{number:03d}" for name, numbers in acknowledged.items() for number in numbers}
    assert expected <= set(batches)
    assert {f"{name}-{number:03d}" for name in "ab" for number in range(BATCHES)} <= expected


def test_a_full_disk_is_a_typed_error_and_the_store_stays_intact(tmp_path):
    """A limit on the size of files stands for the disk; the process that meets it is another one."""
    store = open_store(SearchSettings(dir=str(tmp_path), maintain_s=0))
    store.create_collection("words", space=SPACE, dimensions=DIMENSIONS)
    store.upsert("words", make_entries(make_vectors(10)))
    code = (
        "import resource, signal, sys\n"
        "from search.opening import open_store; from search.settings import SearchSettings\n"
        "from search.errors import StoreFullError\n"
        "from tests.search.entries import make_entries, make_vectors\n"
        "store = open_store(SearchSettings(dir=sys.argv[1], maintain_s=0))\n"
        "store.count('words')\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: store.upsert('words', make_entries(make_vectors(2000), prefix='x'))\n"
        "except StoreFullError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "no room left where SIGNCLIP_SEARCH_DIR lies; nothing was changed" in done.stdout, done.stderr
    assert store.count("words") == 10
    store.upsert("words", make_entries(make_vectors(5), prefix="later"))
    assert store.count("words") == 15


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RuntimeError("lance error: LanceError(IO): No space left on device (os error 28)"), StoreFullError),
        (OSError(122, "Disk quota exceeded"), StoreFullError),
        (RuntimeError("lance error: LanceError(IO): Permission denied (os error 13)"), StoreError),
        (ValueError("anything else"), StoreError),
    ],
)
def test_errors_of_the_library_are_translated(error, kind):
    with pytest.raises(StoreError) as caught, translate_errors("words"):
        raise error
    assert type(caught.value) is kind


def test_the_librarys_words_are_for_the_log_alone_and_what_they_quote_for_nobody(caplog):
    fault = RuntimeError("lance error: IO at /srv/data: Permission denied (os error 13), text 'Hello', /root/x.rs")
    with pytest.raises(StoreError) as caught, translate_errors("words"):
        raise fault
    assert str(caught.value) == "collection 'words' cannot be read or written; the server's log says why"
    assert "Permission denied (os error 13)" in caplog.text
    assert "Hello" not in caplog.text
