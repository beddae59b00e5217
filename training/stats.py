"""The former name of `python -m corpora stats`: it runs that command."""

import sys

from corpora.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["stats", *sys.argv[1:]]))
