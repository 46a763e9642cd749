"""Teach a tagger: labelled photos → model/NAME.h5 and a report.

    python train.py                                 # photos in dataset/<label>/, or a table
    python train.py --data shop/ --output model/shop.h5
    python train.py --fine-tune 0                   # the head alone: about a minute
    python train.py --backbone small_cnn            # small photos: a network from nothing
    python train.py --check --data shop/            # what is wrong with the photos
    python train.py --resume                        # go on where it was stopped

The photos are read once and split. Their features from a pretrained backbone give a first head in
seconds; then every convolution is fine-tuned. The network is converted to the fast runtime, and the
rule for "unknown" is fitted to that.
"""

import sys

from tagger.cli.train import main

if __name__ == "__main__":
    sys.exit(main())
