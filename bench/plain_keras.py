"""Plain Keras on a model file, one photo at a time: median ms of processor time, as JSON.

python bench/plain_keras.py MODEL.h5 FOLDER --photos 100
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median

from tagger.images import transforms


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=100)
    options = parser.parse_args()

    import keras
    import tensorflow as tf

    from tagger.images import decode

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    network = keras.models.load_model(options.model, compile=False)
    seconds = []
    for path in list(decode.find_photos(options.folder))[: options.photos]:
        pixels = transforms.prepare(path, network.input_shape[1])[None]  # (1, S, S, 3)
        began = time.process_time()
        network.predict(pixels, verbose=0)
        seconds.append(time.process_time() - began)
    print(json.dumps(1000 * median(seconds)))


if __name__ == "__main__":
    main()
