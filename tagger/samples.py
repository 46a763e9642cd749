"""`python -m tagger.samples FOLDER` writes four sample photos; see `tagger.cli.samples`."""

import sys

from tagger.cli.samples import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m tagger.samples"))
