"""`python -m tagger.cifar10 FOLDER` writes CIFAR-10 as label folders; see `tagger.cli.samples`."""

import sys

from tagger.cli.samples import main_cifar10

if __name__ == "__main__":
    sys.exit(main_cifar10())
