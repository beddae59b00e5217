"""Compacts and indexes collections by command.

    python -m search maintain [NAME …] [--dir DIR]

The service does this by itself on the machine it runs on. The command is for stores that several machines share, where
SIGNCLIP_SEARCH_MAINTAIN_S=0 leaves it to one of them, and for timers of one's own. It reads the variables that the
service reads, such as SIGNCLIP_SEARCH_KEEP_S.
"""

import argparse
import os
import sys
import threading
from dataclasses import replace

from processes.commands import name_command
from processes.settings import SettingsError
from processes.version import PRODUCT
from search.errors import SearchError
from search.opening import open_store
from search.settings import SearchSettings

# Below the web workers and the engine, which people wait for.
_NICENESS = 10


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; returns 0, 1 where a collection fails, or 2 for a usage error."""
    parser = argparse.ArgumentParser(
        prog=name_command("search"), description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=PRODUCT)
    commands = parser.add_subparsers(dest="command", required=True)
    maintain = commands.add_parser("maintain", help="compact and index collections")
    maintain.add_argument("names", nargs="*", metavar="NAME", help="collections (default: all)")
    maintain.add_argument("--dir", help="where they are kept (default: SIGNCLIP_SEARCH_DIR)")
    maintain.add_argument("--settings-from-input", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        if options.settings_from_input:
            settings = SearchSettings.from_json(sys.stdin.readline())
        else:
            settings = SearchSettings.from_environment(**({"dir": options.dir} if options.dir else {}))
    except SettingsError as error:
        parser.error(str(error))
    if options.settings_from_input:
        threading.Thread(target=_end_with_input, name="end-with-input", daemon=True).start()
    os.nice(_NICENESS)
    return _maintain(replace(settings, maintain_s=0), options.names)


def _maintain(settings: SearchSettings, names: list[str]) -> int:
    failed = 0
    try:
        store = open_store(settings)
        wanted = names or [found.name for found in store.list_collections()]
        if not wanted:
            print("there are no collections; --dir or SIGNCLIP_SEARCH_DIR says where they are kept", file=sys.stderr)
        for name in wanted:
            try:
                store.maintain(name)
                print(f"{name}: compacted", flush=True)
            except SearchError as error:
                print(f"{name}: {error}", file=sys.stderr)
                failed = 1
    except SearchError as error:
        print(error, file=sys.stderr)
        failed = 1
    return failed


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
