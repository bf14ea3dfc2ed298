"""`python -m normdeploy`."""

import sys

from normdeploy.cli import main

if __name__ == "__main__":
    sys.exit(main())
