"""`python -m sansface`: the command line where no `sansface` script is on the path."""

import sys

from sansface.cli import main

if __name__ == "__main__":
    sys.exit(main())
