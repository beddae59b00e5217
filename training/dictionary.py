"""The former name of `python -m training.fingerspelling.dictionary`: it runs that command."""

import sys

from training.fingerspelling.dictionary import main

if __name__ == "__main__":
    sys.exit(main())
