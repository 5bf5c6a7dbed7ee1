"""``python -m amtsep`` is the command ``amtsep``."""

import sys

from amtsep.cli import main

if __name__ == "__main__":
    sys.exit(main())
