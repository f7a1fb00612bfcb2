"""What depends on the version: one function for each thing that TensorFlow 2.3 or Keras 2 does in another way.

The script runs on TensorFlow 2.3 and later. Up to version 2.15, TensorFlow brings Keras 2, and from 2.16 on Keras 3.
The first words of each function say which version needs it. If that version is dropped, one line of it is left.
"""

import tensorflow as tf


def set_precision(policy):
    """TensorFlow 2.3: the function has another name, because mixed precision was still experimental."""
    mixed_precision = tf.keras.mixed_precision
    if hasattr(mixed_precision, "set_global_policy"):
        mixed_precision.set_global_policy(policy)
    else:
        mixed_precision.experimental.set_policy(policy)


def build_optimizer(optimizer, variables):
    """TensorFlow 2.3: the method that makes the optimizer's variables has another name, because it was private."""
    if hasattr(optimizer, "build"):
        optimizer.build(variables)
    else:
        optimizer._create_all_weights(variables)


def optimizer_variables(optimizer):
    """Keras 2: `variables` of an optimizer is a method, or a list that can be called. In Keras 3 it is a list."""
    if callable(optimizer.variables):
        return optimizer.variables()
    return optimizer.variables


def tensorflow_variables(model):
    """Keras 2: the weights of a model are TensorFlow's variables. In Keras 3, each weight has one inside.

    A SavedModel needs these variables: TensorFlow Serving would find the weights of Keras 3 empty.
    """
    variables = []
    for weight in model.weights:
        if callable(weight.value):  # In Keras 2, `value` is a method.
            variables.append(weight)
        else:
            variables.append(weight.value)
    return variables


def without_autotuning(dataset):
    """TensorFlow 2.3: there is no autotuning to switch off. Later, the end of an epoch can wait ten seconds for it."""
    options = tf.data.Options()
    if hasattr(options, "autotune"):
        options.autotune.enabled = False
    return dataset.with_options(options)


def multi_worker_strategy():
    """TensorFlow 2.3: the strategy for several hosts was still experimental."""
    if hasattr(tf.distribute, "MultiWorkerMirroredStrategy"):
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.experimental.MultiWorkerMirroredStrategy()


def distribute_dataset(strategy, dataset):
    """TensorFlow 2.3: the method has another name, because it was still experimental."""
    if hasattr(strategy, "distribute_datasets_from_function"):
        return strategy.distribute_datasets_from_function(lambda context: dataset)
    return strategy.experimental_distribute_datasets_from_function(lambda context: dataset)
