"""Lists and tables that the authors published beside their code: their digests, and how to bring them here.

Source: J22Melody/fairseq@a8199440, examples/MMPT.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from corpora.errors import FetchError
from processes.files import write_file
from processes.os_errors import describe_reason

_BASE = "https://raw.githubusercontent.com/J22Melody/fairseq/a819944093876443119f294a2c50c663cecd65b0/examples/MMPT"
_TIMEOUT_S = 60.0
# Where the table of Spreadthesign's texts and their counts is put, below the folder of all data sets.
VOCABULARY_FILE = Path("spreadthesign") / "data_stat_sp_concept_dis.csv"


@dataclass(frozen=True)
class PublishedFile:
    """A file of the authors' repository.

    Attributes:
        path: below examples/MMPT.
        digest: of its content, hex: SHA-256, or the shorter one by which git names the content.
        place: below the folder of all data sets, where readers look for it.
    """

    path: str
    digest: str
    place: Path


def _list_in(folder: str, target: str, digests: Mapping[str, str]) -> tuple[PublishedFile, ...]:
    return tuple(PublishedFile(f"{folder}{name}", digest, Path(target, name)) for name, digest in digests.items())


PUBLISHED_FILES: Mapping[str, tuple[PublishedFile, ...]] = MappingProxyType(
    {
        "vocabulary": _list_in(
            "",
            "spreadthesign",
            {VOCABULARY_FILE.name: "3c6dd3c9f68e0d4c2d2a0581897792089c4c391d02e7e53183bec99b3434437c"},
        ),
        "asl_signs": _list_in(
            "data/asl_signs/",
            "asl_signs",
            {
                "all.txt": "e4b6becc5dd718515680c42f51da1ae54535763036db4474fb86c0c20c5de4bc",
                "train.txt": "e81387296cc3f0e7f86016e405a593d237ac428db3a755fe56273d2afa0a87e3",
                "val.txt": "edce12bf4b566ebd5b2ab0c0c965b814e712dd15559849bd819e3456a463cf12",
                "test.txt": "255a0b3755a059d9e74cf6f8f52b849e708921355b694adaa08783da955bbb82",
            },
        ),
        "rwth_fingerspelling": _list_in(
            "data/rwthfs/",
            "rwth_fingerspelling",
            {
                "all.txt": "d8cfb367612a2115af059a1d43e1092e16a3f3fd8a6d854b477832ea25d57ac5",
                "train.txt": "4e4a7c1ad33ba3459008ac0a3d13eb4c948fc47adcda5670a50e7fb156f68d72",
                "val.txt": "715f0d014a2f41544a665a31964fea5b14da12c89dccd65106f5691e4c44d4ab",
                "test.txt": "b129970f3939bf9121c3ea1c66e405a0043b6e3935d0d9893c4170fd7c83d31b",
                "gesture_ids.txt": "2e361658e7c6d1cd53ffa1f0c9f61cfae4da71abbccfb5f305fd69b16b5e5aad",
            },
        ),
        "signsuisse": _list_in(
            "data/signsuisse/",
            "signsuisse",
            {
                "metadata_train_train.csv": "fe626434aef9abb7f87e03b48d64f45a90c0c929",
                "metadata_train_val.csv": "a54a731cb7785426cc7502340bb54a5147af041c400ac71695184be7d820d9d1",
                "metadata_test.csv": "dc24a0c1dfbe820809fbd120c8153ef9d6873ec78b3983eb7e3b4ff603b03a09",
            },
        ),
    }
)
"""Files by the name that `python -m corpora fetch` takes."""


def download(path: str) -> bytes:
    """Download a file of the authors' repository.

    Raises:
        FetchError: the network or the server did not give the file.
    """
    import httpx2  # It costs 100 ms, which commands that only read data need not pay.

    try:
        answer = httpx2.get(f"{_BASE}/{path}", timeout=_TIMEOUT_S, follow_redirects=True)
        answer.raise_for_status()
    except httpx2.HTTPError as error:
        raise FetchError(
            f"{_BASE}/{path} could not be downloaded: {error}; on a machine without network, use --from with a copy of "
            "the authors' folder examples/MMPT"
        ) from error
    content: bytes = answer.content
    return content


def read_copy(folder: Path) -> Callable[[str], bytes]:
    """Return a function that reads files from a copy of the authors' examples/MMPT, in place of download.

    The function raises a FetchError if the copy lacks a file.
    """

    def read(path: str) -> bytes:
        try:
            return (folder / path).read_bytes()
        except OSError as error:
            raise FetchError(f"{folder / path} cannot be read: {describe_reason(error)}") from error

    return read


def fetch_files(name: str, data: Path, *, source: Callable[[str], bytes] = download) -> list[Path]:
    """Bring the files of one name to where readers look for them. A file that is there already stays.

    Args:
        name: a key of PUBLISHED_FILES.
        data: the folder of all data sets.
        source: returns the content of a path below examples/MMPT.
    Returns:
        The files, whether they were brought or there.
    Raises:
        FetchError: a file cannot be brought, or its content is not what the authors published; or another file has its
            place.
        OSError: a file cannot be written.
    """
    places = []
    for file in PUBLISHED_FILES[name]:
        place = data / file.place
        if place.is_file():
            _require_digest(place.read_bytes(), file, f"{place} is there, but it")
        else:
            content = source(file.path)
            _require_digest(content, file, f"what came for {file.path}")
            place.parent.mkdir(parents=True, exist_ok=True)
            write_file(place, content)
        places.append(place)
    return places


def _require_digest(content: bytes, file: PublishedFile, what: str) -> None:
    if len(file.digest) == hashlib.sha256().digest_size * 2:
        digest = hashlib.sha256(content).hexdigest()
    else:
        # How git names a file's content. It tells files apart; nobody relies on it against forgery.
        digest = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    if digest != file.digest:
        raise FetchError(
            f"{what} is not the published file (digest {file.digest[:12]}…, not {digest[:12]}…); remove it or move it"
        )
