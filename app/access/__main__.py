"""`signclip keys`: adds, lists and revokes API keys in a file. A running service notices within a second."""

import argparse
import os
import stat
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from app.access.keyring import SCOPES, Key, KeysError, digest_key, make_key, normalize_limit, read_keys, read_line
from processes.commands import name_command, print_error
from processes.files import hold_lock, replace_file
from processes.version import PRODUCT

_VARIABLE = "SIGNCLIP_API_KEYS_FILE"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. The exit status is 0 when done, 1 when refused, 2 for a usage error."""
    options = _build_parser().parse_args(arguments)
    if options.file is None:
        print(f"error: name the file with --file, or in {_VARIABLE}", file=sys.stderr)
        return 2
    try:
        if options.run is not _add:
            _require_file(options.file)
        options.file.parent.mkdir(parents=True, exist_ok=True)
        with hold_lock(options.file.with_name(f".{options.file.name}.lock")):
            options.run(options)
    except (KeysError, OSError) as error:
        print_error(error)
        return 1
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name_command("app.access"), description=__doc__)
    parser.add_argument("--version", action="version", version=PRODUCT)
    default = os.environ.get(_VARIABLE)
    parser.add_argument("--file", type=Path, default=Path(default) if default else None, help=f"default: ${_VARIABLE}")
    commands = parser.add_subparsers(required=True, metavar="add | list | revoke")
    add = commands.add_parser("add", help="make a key, write its digest into the file, and print it this one time")
    add.add_argument("name", metavar="NAME")
    add.add_argument(
        "--scopes", default=",".join(SCOPES), help=f"what it opens, separated by commas: {', '.join(SCOPES)}"
    )
    add.add_argument(
        "--requests", metavar="LIMIT", type=_read_limit, help="as 600/minute; default: as the settings say"
    )
    add.add_argument("--items", metavar="LIMIT", type=_read_limit, help="texts and clips, as 100000/hour")
    add.set_defaults(run=_add)
    listing = commands.add_parser("list", help="print the names, what they open and their limits")
    listing.set_defaults(run=_list)
    revoke = commands.add_parser("revoke", help="remove a key")
    revoke.add_argument("name", metavar="NAME")
    revoke.set_defaults(run=_revoke)
    return parser


def _read_limit(text: str) -> str:
    try:
        return normalize_limit(text)
    except KeysError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _require_file(file: Path) -> None:
    """Refuse to look into a file that is not there; else its folder and its lock would be made."""
    if not file.exists():
        raise KeysError(f"{file} is not there; signclip keys add NAME makes it")


def _read(file: Path) -> dict[str, Key]:
    return read_keys(file) if file.exists() else {}


def _write(file: Path, keys: dict[str, Key]) -> None:
    found = file.stat() if file.exists() else None
    lines = ["# name, SHA-256 of the key, what it opens and its limits", *(key.write_line() for key in keys.values())]
    with replace_file(file) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
        if found is not None:  # the service may be another user than the one who changes the keys
            os.chown(part, found.st_uid, found.st_gid)
    file.chmod(0o600 if found is None else stat.S_IMODE(found.st_mode))


def _add(options: argparse.Namespace) -> None:
    keys, made = _read(options.file), make_key()
    if options.name in keys:
        raise KeysError(f"there is a key {options.name!r} already; revoke it first")
    key = read_line(f"{options.name} {digest_key(made).hex()} scopes={options.scopes}")
    keys[key.name] = replace(key, rate_limit=options.requests, item_limit=options.items)
    _write(options.file, keys)
    print(made)


def _list(options: argparse.Namespace) -> None:
    keys = _read(options.file)
    if not keys:
        print(f"there is no key in {options.file}; signclip keys add NAME makes one", file=sys.stderr)
    for key in keys.values():
        name, _, *words = key.write_line().split()
        print(" ".join([name, *words]))


def _revoke(options: argparse.Namespace) -> None:
    keys = _read(options.file)
    if options.name not in keys:
        raise KeysError(f"there is no key {options.name!r} in {options.file}")
    del keys[options.name]
    _write(options.file, keys)


if __name__ == "__main__":
    sys.exit(main())
