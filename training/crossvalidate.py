"""The former name of `python -m training.fingerspelling.crossvalidate`: it runs that command."""

import sys

from training.fingerspelling.crossvalidate import main

if __name__ == "__main__":
    sys.exit(main())
