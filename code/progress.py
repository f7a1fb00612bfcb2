"""How far the training has come, and the metrics of its epochs: printed, kept for metrics.json, and for TensorBoard."""

import time

import tensorflow as tf

import hosts


class Progress:
    """The position of the training, and the metrics of the epochs that are over.

    epoch    the epoch that is running, from 1
    step     how many of its steps are done
    sums     over the images of these steps: the sum of their losses, how many the model gets right, and how many there
             are; an empty list before the first step
    history  for each epoch that is over, a dict of its number, its seconds and its metrics
    """

    def __init__(self, tensorboard_dir):
        self.epoch = 1
        self.step = 0
        self.sums = []
        self.history = []
        self.epoch_began = None  # set by begin_epoch, in seconds as time.time() gives them
        self.event_writer = None
        if tensorboard_dir and hosts.is_first_host():
            self.event_writer = tf.summary.create_file_writer(tensorboard_dir)

    def begin_epoch(self):
        """Start the clock of an epoch."""
        self.epoch_began = time.time()

    def sums_so_far(self):
        """[sum of the losses, number of right answers, number of images] of the steps that are done."""
        return self.sums or [0.0, 0.0, 0.0]

    def end_step(self, sums):
        """Note one more step; `sums` are those of all steps of the epoch so far."""
        self.step += 1
        self.sums = sums

    def end_epoch(self, test_loss, test_accuracy):
        """Report the metrics of the epoch, and move on to the next one."""
        loss_sum, right_answers, images = self.sums
        metrics = {
            "loss": loss_sum / images,
            "accuracy": right_answers / images,
            "test_loss": test_loss,
            "test_accuracy": test_accuracy,
        }
        if hosts.is_first_host():
            print_metrics(self.epoch, metrics)
        if self.event_writer:
            write_events(self.event_writer, self.epoch, metrics)
        seconds = time.time() - self.epoch_began
        self.history.append(dict(epoch=self.epoch, seconds=seconds, **metrics))
        self.epoch += 1
        self.step = 0
        self.sums = []

    def position(self):
        """What a checkpoint keeps of this object, as a dict."""
        return dict(epoch=self.epoch, step=self.step, sums=self.sums, history=self.history)

    def set_position(self, position):
        """Go on from a position that a checkpoint has kept."""
        self.epoch = position["epoch"]
        self.step = position["step"]
        self.sums = position["sums"]
        self.history = position["history"]


def print_metrics(epoch, metrics):
    """Print the line of an epoch, such as `epoch=1 loss=0.2316 accuracy=0.9314 ...`, where SageMaker finds the metrics.

    It is printed as one string, because pieces of a line can reach the log of a job as several lines.
    """
    words = [f"epoch={epoch}"]
    for name, value in metrics.items():
        words.append(f"{name}={value:.4f}")
    print(" ".join(words), flush=True)


def write_events(writer, epoch, metrics):
    """Write the metrics of an epoch into the file that TensorBoard reads.

    tf.summary.scalar would be the usual way. It needs the package tensorboard, which AWS's image of TensorFlow 2.21
    does not have, so the event is put together here.
    """
    values = [tf.compat.v1.Summary.Value(tag=name, simple_value=value) for name, value in metrics.items()]
    summary = tf.compat.v1.Summary(value=values)
    with writer.as_default():  # At its end, this context also writes what is still in memory to the file.
        tf.summary.experimental.write_raw_pb(summary.SerializeToString(), step=epoch)


class ProgressCallback(tf.keras.callbacks.Callback):
    """Keeps Progress and Checkpoints informed while Keras's `fit` trains for one epoch.

    `fit` calls the methods of a callback by their names: https://keras.io/api/callbacks/base_callback
    """

    def __init__(self, batch_size, image_count, progress, checkpoints):
        super().__init__()
        self.batch_size = batch_size
        self.image_count = image_count
        self.progress = progress
        self.checkpoints = checkpoints

    def on_train_begin(self, logs=None):
        self.progress.begin_epoch()
        self.sums_before = self.progress.sums_so_far()  # all zero, unless the job resumes in the middle of an epoch

    def on_train_batch_end(self, batch, logs=None):
        """Add up the sums of the epoch. `logs` has the means over all images since this `fit` began, and `batch` is the
        number of the batch, from 0."""
        loss_before, right_answers_before, images_before = self.sums_before
        images_to_train = self.image_count - images_before
        images = min((batch + 1) * self.batch_size, images_to_train)  # The last batch can be smaller than the others.
        loss_sum = loss_before + images * float(logs["loss"])
        right_answers = right_answers_before + images * float(logs["accuracy"])
        self.progress.end_step([loss_sum, right_answers, images_before + images])
        is_last_step = batch + 1 == self.params["steps"]
        self.checkpoints.end_step(is_last_step, self.checkpoints.stop_requested, self.checkpoints.save_is_due())

    def on_epoch_end(self, epoch, logs=None):
        self.progress.end_epoch(float(logs["val_loss"]), float(logs["val_accuracy"]))
        self.checkpoints.end_epoch(self.checkpoints.stop_requested)
