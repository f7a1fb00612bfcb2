"""What the script leaves behind when the training is over: the model, its metrics, and a record of the job."""

import json
import os
from pathlib import Path

import tensorflow as tf

import compat
from data import scale


def save_model(model, model_dir):
    """Write MODEL_DIR/1, a SavedModel that takes images uint8 [N, 28, 28] and returns their probabilities float32
    [N, 10]. TensorFlow Serving takes the name of the folder, 1, as the version of the model."""

    @tf.function(input_signature=[tf.TensorSpec([None, 28, 28], tf.uint8)])
    def serve(images):
        logits = model(scale(images), training=False)
        return {"probabilities": tf.nn.softmax(logits)}

    # Only the weights are saved, and not the whole model: it has an optimizer, and later versions of TensorFlow cannot
    # load that of version 2.3.
    saved = tf.Module()
    saved.weights = compat.tensorflow_variables(model)
    tf.saved_model.save(saved, os.path.join(model_dir, "1"), signatures=serve)


def save_records(args, history):
    """Write metrics.json and job.json into OUTPUT_DATA_DIR, for a person to read afterwards."""
    job = {
        "options": vars(args),
        "files": {
            "training": sorted(os.listdir(args.training)),
            "testing": sorted(os.listdir(args.testing)),
        },
        "environment": {name: value for name, value in os.environ.items() if name.startswith("SM_")},
        "tensorflow": tf.__version__,
    }
    write_json(args.output_data_dir, "metrics.json", history)
    write_json(args.output_data_dir, "job.json", job)


def write_json(folder, name, content):
    """Write a file in a form that people can read, too."""
    Path(folder, name).write_text(json.dumps(content, indent=2, sort_keys=True))
