"""The former name of `python -m models.export`: it runs that command."""

import sys

from models.export import main

if __name__ == "__main__":
    sys.exit(main())
