"""Baseline for the service: a Flask server as tutorials write it.

    python bench/flask_server.py MODEL.h5 PORT

Flask's own server, `load_model` once, `model.predict` photo by photo, a JSON answer. MODEL.h5 comes
from `python bench/baseline.py train DATA MODEL.h5`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
from baseline import THRESHOLD, labels_file, preprocess_input, read
from flask import Flask, Response, jsonify, request


def create_app(model_file: Path) -> Flask:
    app = Flask(__name__)
    model: Any = keras.models.load_model(model_file)
    names = labels_file(model_file).read_text(encoding="utf-8").split("\n")

    @app.get("/ready")
    def ready() -> str:
        return "ready"

    @app.post("/predict")
    def predict() -> Response:
        photo = preprocess_input(read(request.files["file"].stream).astype(np.float32))
        softmax = model.predict(photo[None], verbose=0)[0]
        best = int(softmax.argmax())
        label = names[best] if softmax[best] >= THRESHOLD else "unknown"
        return jsonify(label=label, confidence=float(softmax[best]))

    return app


if __name__ == "__main__":
    create_app(Path(sys.argv[1])).run("127.0.0.1", int(sys.argv[2]))
