"""Export a model to other runtimes; each file is checked on real photos before it is kept.

    python export.py pets onnx tflite --photos dataset/
    python export.py shop.h5 saved_model tflite-int8 --photos shop/ --output there/

On labelled photos the accuracy of each export is measured; on others, how often it agrees with the
original.
"""

import sys

from tagger.cli.export import main

if __name__ == "__main__":
    sys.exit(main())
