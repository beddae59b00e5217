"""Look at a data set: `python -m training.stats DATASET ROOT …` is `python -m corpora stats DATASET ROOT …`."""

import sys

from corpora.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["stats", *sys.argv[1:]]))
