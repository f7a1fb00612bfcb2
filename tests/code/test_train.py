"""code/train.py: what it reads, what it leaves behind, and the one line it prints where the input is wrong."""

import contextlib
import gzip
import importlib
import io
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "code" / "train.py"
PORT = 20000 + os.getpid() % 10000  # no other run of these tests, and no job, has it


@pytest.fixture(scope="session")
def module():
    return importlib.import_module("train")


@pytest.fixture(scope="module", autouse=True)
def temporary_files(tmp_path_factory):
    """A process that is killed leaves TensorFlow's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
        yield


@pytest.fixture(autouse=True)
def no_job(monkeypatch):
    for name in [name for name in os.environ if name.startswith("SM_")]:
        monkeypatch.delenv(name)


def idx(array):
    """A uint8 array as the bytes of an IDX file."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_pair(folder, prefix, count, suffix="", seed=0):
    """Pictures whose top row says which digit they are, so that few are enough to learn from."""
    labels = np.random.default_rng(seed).integers(0, 10, count, dtype=np.uint8)
    images = np.zeros((count, 28, 28), np.uint8)
    images[np.arange(count), :14, labels * 2 + 4] = 255
    pack = gzip.compress if suffix.endswith(".gz") else bytes
    (folder / f"{prefix}-images-idx3-ubyte{suffix}").write_bytes(pack(idx(images)))
    (folder / f"{prefix}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(labels)))


def write_data(folder):
    folder.mkdir()
    write_pair(folder, "train", 300, ".gz")
    write_pair(folder, "t10k", 50, seed=1)
    return folder


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path / "data")


def train(module, folder, training, testing, *options):
    """Run train.py in this process, in this folder -> what it printed."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["train.py", f"--training={training}", f"--testing={testing}", *options])
        try:
            module.main()
        finally:
            policies = module.tf.keras.mixed_precision  # of this process, and so of the next run
            (getattr(policies, "set_global_policy", None) or policies.experimental.set_policy)("float32")
    return out.getvalue()


@pytest.fixture
def run(module, tmp_path, data):
    """Run train.py in this process -> what it printed."""
    return lambda *options, training=data, testing=data: train(module, tmp_path, training, testing, *options)


@pytest.fixture
def error(run, capsys, tmp_path, monkeypatch):
    """Run train.py, which must fail -> its one line, the same as SageMaker's FailureReason."""

    def error(*options, **channels):
        monkeypatch.setenv("SM_OUTPUT_DIR", str(tmp_path))
        with pytest.raises(SystemExit) as exit:
            run(*options, **channels)
        assert exit.value.code == 1
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("train.py: error: ")
        assert (tmp_path / "failure").read_text() == line
        return line

    return error


@pytest.fixture(scope="module")
def trained(module, tmp_path_factory):
    """A training of eight epochs: its folder, and what it printed."""
    folder = tmp_path_factory.mktemp("trained")
    data = write_data(folder / "data")
    return folder, train(module, folder, data, data, "--epochs=8", "--batch-size=32", "--learning-rate=3e-3")


def test_learns_and_saves_a_model_that_predicts(trained, module):
    folder, out = trained
    assert "300 images to train on, 50 to test with" in out
    metrics = json.loads((folder / "output" / "metrics.json").read_text())
    assert [entry["epoch"] for entry in metrics] == list(range(1, 9))
    assert metrics[-1]["test_accuracy"] > 0.9
    assert metrics[-1]["loss"] < metrics[0]["loss"] / 4
    assert f"test_accuracy={metrics[-1]['test_accuracy']:.4f}" in out.splitlines()[-1]

    model = module.tf.saved_model.load(str(folder / "model" / "1"))  # early versions need it as long as its signature
    files = module.find_files("testing", str(folder / "data"), "t10k")
    images, labels = (array.numpy() for array in next(iter(module.make_dataset(files, 50))))
    pixels = module.tf.constant((images[..., 0] * 255).round().astype(np.uint8))
    probabilities = model.signatures["serving_default"](images=pixels)["probabilities"].numpy()
    assert probabilities.shape == (50, 10)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert np.mean(probabilities.argmax(1) == labels) == pytest.approx(metrics[-1]["test_accuracy"])


def test_tensorflow_serving_can_load_the_model(trained, module):
    """It runs the graph in a session, with the variables that it finds by name."""
    folder, _ = trained
    tf, pixels = module.tf, np.zeros((2, 28, 28), np.uint8)
    model = tf.saved_model.load(str(folder / "model" / "1"))
    expected = model.signatures["serving_default"](images=tf.constant(pixels))["probabilities"].numpy()
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(folder / "model" / "1"))
        signature = loaded.signature_def["serving_default"]
        answer = session.run(signature.outputs["probabilities"].name, {signature.inputs["images"].name: pixels})
    np.testing.assert_allclose(answer, expected, rtol=1e-5)


def test_the_seed_decides_the_metrics(run, tmp_path):
    def losses(*options):
        run("--batch-size=64", *options)
        return [entry["loss"] for entry in json.loads((tmp_path / "output" / "metrics.json").read_text())]

    assert losses("--seed=3") == losses("--seed=3") != losses("--seed=4")


def test_every_hyperparameter_matters(run, tmp_path):
    def loss(*options):
        run("--batch-size=64", *options)
        return json.loads((tmp_path / "output" / "metrics.json").read_text())[-1]["loss"]

    base = loss()
    for option in ("--batch-size=50", "--epochs=2", "--learning-rate=1e-2", "--beta_1=0.5", "--beta_2=0.9"):
        assert loss(option) != base, option


def test_records_what_the_job_saw_and_no_credentials(run, tmp_path, monkeypatch):
    monkeypatch.setenv("SM_CHANNELS", '["testing","training"]')
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not for the record")
    run("--beta_1=0.8")
    text = (tmp_path / "output" / "job.json").read_text()
    job = json.loads(text)
    assert job["environment"] == {"SM_CHANNELS": '["testing","training"]'}
    assert "not for the record" not in text
    defaults = {"batch_size": 512, "epochs": 1, "learning_rate": 1e-3, "beta_2": 0.999, "seed": 1}
    assert {name: job["options"][name] for name in defaults} == defaults
    assert job["options"]["beta_1"] == 0.8
    assert job["files"]["testing"] == sorted(path.name for path in (tmp_path / "data").iterdir())


def tf_config(hosts):
    """As AWS's container writes it with distribution={"multi_worker_mirrored_strategy": {"enabled": True}}."""
    cluster = {"worker": [f"{host}:8890" for host in hosts]}
    return json.dumps({"cluster": cluster, "environment": "cloud", "task": {"index": 0, "type": "worker"}})


def test_runs_as_a_job_would_run_it(tmp_path, data):
    environment = {
        **os.environ,
        "SM_CHANNEL_TRAINING": str(data),
        "SM_CHANNEL_TESTING": str(data),
        "SM_MODEL_DIR": str(tmp_path / "m"),
        "SM_OUTPUT_DATA_DIR": str(tmp_path / "o"),
        "TF_CONFIG": tf_config(["algo-1"]),
    }
    command = [sys.executable, SCRIPT, "--batch-size", "512", "--epochs", "1"]
    done = subprocess.run(command, env=environment, check=True, cwd=tmp_path, timeout=300, stderr=subprocess.PIPE)
    assert b"UserWarning" not in done.stderr  # of Keras
    assert (tmp_path / "m" / "1" / "saved_model.pb").exists()
    assert (tmp_path / "o" / "metrics.json").exists()
    assert not (tmp_path / "failure").exists()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_reads_several_files_of_a_channel(run, data, suffix):
    for number in range(2, 11):
        write_pair(data, "train", number, f"-{number}{suffix}")
    assert "354 images to train on" in run()


def numbered(folder, counts):
    """A channel whose images say in their first two pixels which number they have; their label is its last digit."""
    number = 0
    for file, count in enumerate(counts):
        images = np.zeros((count, 28, 28), np.uint8)
        ids = np.arange(number, number + count)
        images[:, 0, 0], images[:, 0, 1] = ids // 256, ids % 256
        suffix, pack = (".gz", gzip.compress) if file % 2 else ("", bytes)
        (folder / f"train-images-idx3-ubyte-{file}{suffix}").write_bytes(pack(idx(images)))
        (folder / f"train-labels-idx1-ubyte-{file}{suffix}").write_bytes(pack(idx((ids % 10).astype(np.uint8))))
        number += count


@pytest.fixture
def epoch(module, tmp_path):
    """The numbers of the images in one epoch of ten files, in their order; every label must be its image's own."""
    numbered(tmp_path, range(91, 101))
    files = module.find_files("training", str(tmp_path), "train")
    assert files.image_count == 955

    def epoch(share=(1, 0), skip=0, **options):
        numbers = []
        for images, labels in module.make_dataset(files, 100, *share, **options).skip(skip):
            pixels = (images.numpy() * 255).round().astype(int)[..., 0]
            ids = pixels[:, 0, 0] * 256 + pixels[:, 0, 1]
            assert (ids % 10 == labels.numpy()).all()
            numbers += ids.tolist()
        return numbers

    return epoch


def test_an_epoch_has_every_image_once_in_an_order_that_the_seed_decides(epoch):
    order = epoch(seed=1)
    assert sorted(order) == list(range(955)) == sorted(epoch())
    assert epoch(seed=1) == order != epoch(seed=2)
    assert len({number // 100 for number in order[:100]}) > 5  # the files are mixed, too


def test_each_epoch_of_a_training_has_an_order_of_its_own(module, run, monkeypatch):
    seeds, make_dataset = [], module.make_dataset

    def spy(*args, seed=None):
        seeds.append(seed)
        return make_dataset(*args, seed=seed)

    monkeypatch.setattr(module, "make_dataset", spy)
    run("--epochs=3", "--seed=5")
    assert [seed for seed in seeds if seed] == [6, 7, 8]


def test_a_resumed_epoch_goes_on_where_it_stopped(epoch):
    assert epoch(seed=1, skip=3) == epoch(seed=1)[300:]


def test_hosts_share_the_images(epoch):
    shares = [epoch(share=(3, host), seed=1) for host in range(3)]
    assert sorted(number for share in shares for number in share) == list(range(955))


processes = []


@pytest.fixture(autouse=True)
def nothing_is_left_running():
    yield
    while processes:
        process = processes.pop()
        process.kill()
        process.communicate()


def start(folder, training, testing, *options, script=SCRIPT, **environment):
    """train.py in a process of its own, with `folder` for all that it writes."""
    command = [sys.executable, script, "--training", training, "--testing", testing, *options]
    places = {"SM_MODEL_DIR": folder / "model", "SM_OUTPUT_DATA_DIR": folder / "output", "SM_OUTPUT_DIR": folder}
    folder.mkdir(exist_ok=True)
    places.update(CLUSTER_PORT=PORT, TMPDIR=tempfile.gettempdir())
    environment = {**os.environ, **{name: str(path) for name, path in places.items()}, **environment}
    pipe = subprocess.PIPE
    process = subprocess.Popen([*map(str, command)], env=environment, stdout=pipe, stderr=pipe, text=True)
    processes.append(process)
    return process


def wait_for(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def read_until(process, beginning):
    """Read the lines of a process up to one that begins so; one that stays silent is ended."""
    timer = threading.Timer(120, process.kill)
    timer.start()
    while not process.stdout.readline().startswith(beginning):
        assert process.poll() is None
    timer.cancel()


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def metrics(folder):
    """Of every epoch, but not how long it took."""
    entries = json.loads((folder / "output" / "metrics.json").read_text())
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in entries]


@pytest.fixture(scope="module")
def whole(module, tmp_path_factory):
    """The metrics of four uninterrupted epochs with batches of 10, on `data` and 1695 more images. The sums of one that
    was interrupted are rounded in two places, but its model is the same, to the last bit."""
    folder = tmp_path_factory.mktemp("whole")
    data = write_data(folder / "data")
    write_pair(data, "train", 1695, "-more")
    train(module, folder, data, data, "--epochs=4", "--batch-size=10")
    return [
        {name: value if name.startswith("test") else pytest.approx(value, rel=1e-6) for name, value in entry.items()}
        for entry in metrics(folder)
    ]


def test_a_stopped_job_resumes_and_ends_where_an_uninterrupted_one_ends(run, whole, tmp_path, data):
    write_pair(data, "train", 1695, "-more")
    options = ["--epochs=4", "--batch-size=10", f"--checkpoint-dir={tmp_path}/checkpoints"]
    first = start(tmp_path / "parts", data, data, *options)
    read_until(first, "epoch=1")
    first.terminate()
    assert first.wait(60) == 143
    said = first.stdout.read()
    assert "stopped in epoch" in said and not (tmp_path / "parts" / "output" / "metrics.json").exists()
    place = re.search(r"stopped (in epoch \d after \d+ steps)", said)[1]
    assert f"resumes {place}" in run(*options)
    assert metrics(tmp_path) == whole
    assert "epoch=" not in run(*options)  # nothing is left to do
    assert metrics(tmp_path) == whole


def test_tensorboard_gets_the_metrics_of_every_epoch(module, run, tmp_path):
    run("--epochs=2", f"--tensorboard-dir={tmp_path}/events")
    [path] = (tmp_path / "events").iterdir()
    found = {}
    for event in module.tf.compat.v1.train.summary_iterator(str(path)):
        for value in event.summary.value:
            found.setdefault(event.step, {})[value.tag] = value.simple_value
    epochs = [{name: pytest.approx(value) for name, value in epoch.items()} for epoch in metrics(tmp_path)]
    assert [{"epoch": step, **values} for step, values in found.items()] == epochs


def test_tensorboard_gets_them_while_the_job_runs(module, tmp_path, data):
    job = start(tmp_path / "job", data, data, "--epochs=9", "--batch-size=1", f"--tensorboard-dir={tmp_path}/events")
    read_until(job, "epoch=3")
    [path] = (tmp_path / "events").iterdir()
    assert {1, 2} < {event.step for event in module.tf.compat.v1.train.summary_iterator(str(path))}


def test_a_stop_in_the_last_step_comes_too_late(module, run, monkeypatch, tmp_path):
    def stop(callback, logs=None):
        callback.checkpoints.request_stop(15, None)
        begin(callback)

    begin = module.ProgressCallback.on_train_begin
    monkeypatch.setattr(module.ProgressCallback, "on_train_begin", stop)
    run(f"--checkpoint-dir={tmp_path}/checkpoints")
    assert len(metrics(tmp_path)) == 1 and os.listdir(tmp_path / "checkpoints") == ["checkpoint.npz"]


def test_a_stop_where_an_epoch_is_one_batch(tmp_path, data):
    job = start(tmp_path / "job", data, data, "--epochs=100000", f"--checkpoint-dir={tmp_path}/checkpoints")
    read_until(job, "epoch=2 ")
    job.terminate()
    assert re.search(r"stopped in epoch \d+ after 0 steps", job.communicate(timeout=60)[0])
    assert job.returncode == 143


@pytest.fixture(scope="module")
def checkpoints(module, tmp_path_factory):
    """The option that names a checkpoint of a training of two epochs on `data`, which is never written again."""
    folder = tmp_path_factory.mktemp("stopped")
    data = write_data(folder / "data")
    train(module, folder, data, data, "--epochs=2", f"--checkpoint-dir={folder}/checkpoints")
    return f"--checkpoint-dir={folder}/checkpoints"


def test_checkpoint_beyond_the_epochs(error, checkpoints):
    assert "is in epoch 3, and --epochs is 1" in error(checkpoints)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--learning-rate=0.5", "learning_rate 0.001, here 0.5"),
        ("--batch-size=100", "batch_size 512, here 100"),
        ("--seed=2", "seed 1, here 2"),
        ("--beta_1=0.5", "beta_1 0.9, here 0.5"),
        ("--beta_2=0.5", "beta_2 0.999, here 0.5"),
        ("--precision=mixed_bfloat16", "precision float32, here mixed_bfloat16"),
        (None, "training on 300 images"),
    ],
)
def test_checkpoint_of_another_training(error, checkpoints, data, option, message):
    if option is None:
        write_pair(data, "train", 50, "-more")
    line = error(checkpoints, "--epochs=3", *[option] * bool(option))
    assert "is of another training" in line and message in line


@pytest.mark.parametrize(("name", "prefix", "count"), [("training", "train", 300), ("testing", "t10k", 50)])
def test_checkpoint_of_other_data_of_the_same_size(error, checkpoints, data, name, prefix, count):
    write_pair(data, prefix, count, ".gz" if prefix == "train" else "", seed=5)
    assert f"is of another training: {name} on {count} images" in error(checkpoints, "--epochs=2")


def test_checkpoint_that_is_none(error, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "checkpoint.npz").write_text("none")
    assert "checkpoint.npz is no checkpoint of train.py" in error(f"--checkpoint-dir={tmp_path}/checkpoints")


def test_checkpoints_by_the_clock(run, whole, tmp_path, data):
    """A job that is killed goes on from within the epoch, and ends where an uninterrupted one ends."""
    write_pair(data, "train", 1695, "-more")
    options = ["--epochs=2", "--batch-size=10", f"--checkpoint-dir={tmp_path}/checkpoints"]
    first = start(tmp_path / "parts", data, data, *options, "--checkpoint-seconds=0.01")
    file = tmp_path / "checkpoints" / "checkpoint.npz"
    wait_for(file.exists)
    first.kill()
    assert re.search(r"resumes in epoch 1 after [1-9]\d* steps", run(*options))
    assert metrics(tmp_path) == whole[:2]


HOSTS = ["localhost", "127.0.0.1"]


def start_hosts(tmp_path, channels, *options, **environment):
    environment.update(SM_HOSTS=json.dumps(HOSTS), TF_CONFIG=tf_config(HOSTS))
    return [
        start(tmp_path / host, *channel, *options, SM_CURRENT_HOST=host, **environment)
        for host, channel in zip(HOSTS, channels)
    ]


def test_two_hosts_at_half_the_batch_learn_what_one_learns(run, tmp_path, data):
    write_pair(data, "train", 3000, "-more")
    run("--epochs=3", "--batch-size=100")
    outs = [finish(host) for host in start_hosts(tmp_path, [(data, data)] * 2, "--epochs=3", "--batch-size=50")]
    assert ["epoch=3" in out for out in outs] == [True, False]
    for host, out in zip(HOSTS, outs):
        assert f"host {host} of localhost, 127.0.0.1 trains on 1650 images" in out
    assert [(tmp_path / host / "model" / "1").exists() for host in HOSTS] == [True, False]
    one, two = metrics(tmp_path), metrics(tmp_path / HOSTS[0])
    assert two[0]["loss"] == pytest.approx(one[0]["loss"], rel=0.1)  # later ones are next to nothing
    assert two[0]["test_loss"] == pytest.approx(one[0]["test_loss"], rel=0.5)
    accuracies = [side[-1]["test_accuracy"] for side in (one, two)]
    assert accuracies[1] == pytest.approx(accuracies[0], abs=0.05) and min(accuracies) > 0.9


# For a script that imports train.py from another folder.
BESIDE_TRAIN = {"PYTHONPATH": str(SCRIPT.parent)}
# The first host needs two seconds for a checkpoint once there is a file `slow`.
SLOW = """
import os, time
import numpy as np
savez = np.savez
def slow_savez(*arguments, **values):
    time.sleep(2 * os.path.exists("SLOW"))
    savez(*arguments, **values)
np.savez = slow_savez
import train
train.main()
"""


def test_two_hosts_stop_and_resume_together(tmp_path, data):
    options = ["--batch-size=10", f"--checkpoint-dir={tmp_path}/checkpoints"]
    script, slow = tmp_path / "script.py", tmp_path / "slow"
    script.write_text(SLOW.replace("SLOW", str(slow)))
    hosts = start_hosts(tmp_path, [(data, data)] * 2, "--epochs=100000", *options, script=script, **BESIDE_TRAIN)
    read_until(hosts[0], "epoch=2 ")
    slow.touch()
    hosts[1].terminate()
    hosts[1].wait(60)  # local mode ends all hosts with the first that ends
    with np.load(tmp_path / "checkpoints" / "checkpoint.npz") as file:
        now = json.loads(str(file["saved"]))[1]
    said = [host.communicate(timeout=60)[0] for host in hosts]
    assert [host.returncode for host in hosts] == [143, 143]
    places = [re.search(r"stopped in epoch (\d+) after \d+ steps", text) for text in said]
    assert places[0][0] == places[1][0] == f"stopped in epoch {now['epoch']} after {now['step']} steps"
    for host in start_hosts(tmp_path, [(data, data)] * 2, f"--epochs={places[0][1]}", *options):
        assert places[0][0].replace("stopped", "resumes") in finish(host)


def test_hosts_with_unequal_files_of_their_own(tmp_path):
    channels = []
    for number, count in enumerate((300, 90)):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_pair(folder, "train", count)
        write_pair(folder, "t10k", 10)
        channels.append((folder, folder))
    config = json.dumps({name: {"S3DistributionType": "ShardedByS3Key"} for name in ("training", "testing")})
    hosts = start_hosts(tmp_path, channels, "--batch-size=50", SM_INPUT_DATA_CONFIG=config)
    for host, count in zip(hosts, (300, 90)):
        assert f"trains on {count} images" in finish(host)
    assert metrics(tmp_path / HOSTS[0])[0]["epoch"] == 1


def test_a_host_that_dies_ends_the_job_and_is_named(tmp_path, data):
    first, second = start_hosts(tmp_path, [(data, data)] * 2, "--epochs=100000")
    read_until(first, "epoch=1 ")
    second.kill()
    second.communicate()
    _, err = first.communicate(timeout=60)
    assert first.returncode == 1
    assert err.splitlines()[-1] == (tmp_path / HOSTS[0] / "failure").read_text()
    assert "host 127.0.0.1 does not answer" in err.splitlines()[-1]


def test_an_error_of_tensorflow_on_one_host_is_no_host_s_silence(module):
    with pytest.raises(module.tf.errors.InternalError, match="its own"), module.hosts.naming_lost_hosts():
        raise module.tf.errors.InternalError(None, None, "its own")


@pytest.fixture
def first_of_two(module, monkeypatch):
    """train.py is the first of two hosts, and waits a second for the other one."""
    with socket.socket() as listener:
        ports = dict(PORT=PORT + 200, LISTENER_PORT=PORT + 100)
        for name, value in dict(HOSTS=HOSTS, HOST_NUMBER=0, STARTUP_SECONDS=1, LISTENER=listener, **ports).items():
            monkeypatch.setattr(f"hosts.{name}", value)
        yield


@pytest.mark.usefixtures("first_of_two")
def test_a_host_that_never_comes_ends_the_job_and_is_named(error):
    assert "host 127.0.0.1 does not answer" in error()


@pytest.mark.usefixtures("first_of_two")
def test_a_port_that_another_job_has(error):
    with socket.socket() as other:
        other.bind(("", PORT + 100))
        other.listen()
        assert f"port {PORT + 100} is not free" in error()


# TensorFlow can treat one CPU as two, and train on both as on two GPUs.
ON_TWO_PROCESSORS = """
import tensorflow as tf
[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
mirrored = tf.distribute.MirroredStrategy
tf.distribute.MirroredStrategy = lambda: mirrored(["CPU:0", "CPU:1"])
import train
make_dataset = train.make_dataset
def spy(files, size, **options):
    print("batches of", size)
    return make_dataset(files, size, **options)
train.make_dataset = spy
train.main()
"""


def test_two_processors_of_a_host_share_the_batch_and_learn_what_one_learns(run, tmp_path, data):
    write_pair(data, "train", 2700, "-more")
    script = tmp_path / "on_two_processors.py"
    script.write_text(ON_TWO_PROCESSORS)
    run("--batch-size=100")
    out = finish(
        start(tmp_path / "two", data, data, "--batch-size=100", script=script, SM_NUM_GPUS="2", **BESIDE_TRAIN)
    )
    assert out.count("batches of 100") == 2, out  # Keras shares each of them out
    [one], [two] = metrics(tmp_path), metrics(tmp_path / "two")
    assert two["loss"] == pytest.approx(one["loss"], rel=0.1) and two["loss"] != one["loss"]
    assert two["test_accuracy"] == pytest.approx(one["test_accuracy"], abs=0.02)
    assert (tmp_path / "two" / "model" / "1").exists()


def test_mixed_precision(run, tmp_path):
    run("--precision=mixed_bfloat16", "--batch-size=32")
    [half] = metrics(tmp_path)
    run("--batch-size=32")
    [single] = metrics(tmp_path)
    assert half["loss"] == pytest.approx(single["loss"], rel=0.1) and half["loss"] != single["loss"]


def test_batch_larger_than_the_data_and_data_of_one_image(run, tmp_path):
    one = tmp_path / "one"
    one.mkdir()
    write_pair(one, "train", 1)
    write_pair(one, "t10k", 1)
    assert "1 images to train on, 1 to test with" in run(training=one, testing=one)


def test_missing_channel(module, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["train.py"])
    monkeypatch.setenv("SM_CHANNELS", '["test","train"]')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        module.main()
    line = capsys.readouterr().err
    assert 'no channel \'training\' among ["test","train"]' in line and "--training FOLDER" in line


def test_empty_channel(error, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "channel 'testing'" in error(testing=tmp_path / "empty")
    assert "No such file or directory" in error(training=tmp_path / "nowhere")


def test_file_without_its_partner(error, data):
    (data / "train-labels-idx1-ubyte.gz").unlink()
    assert "1 files train-images-idx3-ubyte*, 0 train-labels-idx1-ubyte*" in error()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[: len(content) // 2], "corrupt or truncated"),
        (lambda content: b"not gzip at all", "corrupt or truncated"),
        (lambda content: content[:60] + bytes(40) + content[100:], "corrupt or truncated"),
        (lambda content: gzip.compress(gzip.decompress(content)[:-1]), "corrupt or truncated"),
        (lambda content: gzip.compress(gzip.decompress(content) + b"x"), "corrupt or truncated"),
        (lambda content: gzip.compress(b""), "not an IDX file"),
        (lambda content: gzip.compress(b"\0\0\x0d\3" + gzip.decompress(content)[4:]), "not an IDX file"),
        (
            lambda content: gzip.compress(b"\0\0\x08\3" + b"\xff" * 4 + gzip.decompress(content)[8:16]),
            "corrupt or truncated",
        ),
    ],
    ids=["half", "no gzip", "garbled", "a byte short", "a byte more", "empty", "floats", "huge header"],
)
def test_damaged_file_is_named(error, data, damage, message):
    path = data / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    line = error()
    assert str(path) in line and message in line


@pytest.mark.parametrize("count", [49, 51])
def test_images_and_labels_of_different_length(error, data, count):
    (data / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(count, np.uint8)))
    line = error()
    assert "t10k-images-idx3-ubyte holds 50 images" in line and f"t10k-labels-idx1-ubyte {count} labels" in line


def test_data_that_is_not_mnist(error, data):
    (data / "t10k-labels-idx1-ubyte").write_bytes(idx(np.full(50, 10, np.uint8)))
    assert "t10k-labels-idx1-ubyte holds labels above 9" in error()
    (data / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((50, 32, 32), np.uint8)))
    assert "[32, 32] pixels" in error()


def test_files_with_no_images(error, tmp_path):
    none = tmp_path / "none"
    none.mkdir()
    write_pair(none, "train", 0)
    assert "holds no images" in error(training=none)


@pytest.mark.parametrize(
    "option",
    (
        "--batch-size=0 --batch-size=-1 --batch-size=1.5 --epochs=0 --epochs=x --seed=x "
        "--learning-rate=0 --learning-rate=nan --learning-rate=inf --learning-rate=fast "
        "--beta_1=1 --beta_2=-0.1 --beta_2=nan --precision=half"
    ).split(),
)
def test_hyperparameter_out_of_range(error, option):
    name, _, value = option.partition("=")
    line = error(option)
    assert name in line and value in line


def test_a_decay_rate_of_0(run):
    assert "epoch=1 loss=" in run("--beta_1=0", "--beta_2=0")


@pytest.mark.parametrize("option", ["--epoch=3", "--beta-1=0.9"])
def test_unknown_hyperparameter(error, option):
    assert option in error(option)


def test_what_a_tuning_job_adds_is_not_used_and_said_so(run, tmp_path):
    out = run("--model_dir=s3://bucket/model")
    assert "--model_dir s3://bucket/model is not used: the model goes to model" in out
    assert (tmp_path / "model" / "1").exists()


@pytest.mark.parametrize("option", ["--model-dir", "--output-data-dir", "--checkpoint-dir", "--tensorboard-dir"])
def test_folders_that_cannot_be(error, data, tmp_path, option):
    assert f"{option}: s3://bucket/x is an address in S3" in error(f"{option}=s3://bucket/x")
    assert not (tmp_path / "s3:").exists()
    file = data / "train-images-idx3-ubyte.gz"
    line = error(f"{option}={file}")
    assert option in line and f"Not a directory: '{file}'" in line
    line = error(f"{option}=/proc")  # where nobody can write
    assert option in line and "/proc" in line


def test_channels_that_are_no_folders(error, data):
    assert "--training: s3://bucket/x is an address in S3" in error(training="s3://bucket/x")
    assert "Not a directory" in error(training=data / "train-images-idx3-ubyte.gz")
    assert "No such file or directory" in error(testing=data / "nowhere")


def test_files_are_paired_by_their_names(module, data):
    for number, name in enumerate(["-a", "-a-b"]):  # sorted with .gz, -a-b comes first
        write_pair(data, "train", 10, name + ".gz", seed=number)
    labels = data / "train-labels-idx1-ubyte-a.gz"
    (data / labels.name[:-3]).write_bytes(gzip.decompress(labels.read_bytes()))
    labels.unlink()
    files = module.find_files("training", str(data), "train")
    for images, labels in module.make_dataset(files, 32):  # the top row of each image says its label
        assert (images.numpy()[:, 0, 4::2, 0].argmax(1)[labels.numpy() < 10] == labels.numpy()).all()


def test_names_are_no_patterns(run, data, tmp_path):
    folder = tmp_path / "run [1]*"
    data.rename(folder)
    options = [f"--checkpoint-dir={tmp_path}/ck[1]", f"--model-dir={tmp_path}/m[1]"]
    assert "300 images to train on" in run(*options, training=folder, testing=folder)
    assert "resumes in epoch 2" in run("--epochs=2", *options, training=folder, testing=folder)


def test_a_file_beside_its_gzipped_twin(error, data):
    packed = data / "train-images-idx3-ubyte.gz"
    (data / "train-images-idx3-ubyte").write_bytes(gzip.decompress(packed.read_bytes()))
    assert "train-images-idx3-ubyte twice, also as .gz" in error()


def test_a_gzip_of_several_parts(module, data):
    packed = data / "train-images-idx3-ubyte.gz"
    content = gzip.decompress(packed.read_bytes())
    packed.write_bytes(gzip.compress(content[:100000]) + gzip.compress(content[100000:]))
    files = module.find_files("training", str(data), "train")
    assert files.image_count == 300 == sum(len(labels) for _, labels in module.make_dataset(files, 100))
