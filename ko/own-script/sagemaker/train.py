"""Train a small network to read digits."""

import argparse
import os

import numpy as np
import tensorflow as tf

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--batch-size", type=int, default=64)
args = parser.parse_args()

data = np.load(os.path.join(os.environ["SM_CHANNEL_TRAINING"], "digits.npz"))
x_train, y_train = data["x_train"] / 255.0, data["y_train"]
x_test, y_test = data["x_test"] / 255.0, data["y_test"]

model = tf.keras.Sequential(
    [
        tf.keras.Input(shape=(28, 28)),
        tf.keras.layers.Reshape((28, 28, 1)),
        tf.keras.layers.Conv2D(16, 5, strides=2, activation="relu"),
        tf.keras.layers.Conv2D(32, 3, activation="relu"),
        tf.keras.layers.MaxPooling2D(),
        tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=args.batch_size, epochs=args.epochs, verbose=2)

loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"test_accuracy={accuracy:.4f}")
model.save(os.path.join(os.environ["SM_MODEL_DIR"], "model.h5"))
