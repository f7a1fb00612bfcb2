"""Data on its way into a job and out of it: channels, manifests, pipes, checkpoints."""

import gzip
import json

from sandbox.aws import store
from sandbox.training import artifacts, channels
from tests.support.cloud import (
    BUCKET,
    channel,
    hosts,
    statuses,
    wait_for,
)

SAVE_TREE = """
    import json, os
    found = {}
    for parent, _, names in os.walk("/opt/ml/input/data"):
        for name in names:
            path = os.path.join(parent, name)
            found[os.path.relpath(path, "/opt/ml/input/data")] = open(path).read()
    with open(f"/opt/ml/model/{os.environ['SM_CURRENT_HOST']}.json", "w") as file:
        json.dump(found, file)
"""


def tree_of(cloud, job, host="algo-1"):
    assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), cloud.lines(job["TrainingJobName"]))
    return json.loads(cloud.archive(job["TrainingJobName"])[f"{host}.json"])


def test_s3_prefix(cloud):
    for key in ("prefix/a.csv", "prefix/deep/er/b.csv", "prefix/empty/", "prefix-two/c.csv"):
        cloud.put(key, key.encode())
    job = cloud.run(
        SAVE_TREE,
        InputDataConfig=[
            channel(f"s3://{BUCKET}/prefix/", "folder"),
            channel(f"s3://{BUCKET}/prefix", "all"),
            channel(f"s3://{BUCKET}/prefix/deep/er/b.csv", "object"),
            channel(f"s3://{BUCKET}/prefix/de", "part"),
        ],
    )
    assert tree_of(cloud, job) == {
        "folder/a.csv": "prefix/a.csv",
        "folder/deep/er/b.csv": "prefix/deep/er/b.csv",
        "all/a.csv": "prefix/a.csv",
        "all/deep/er/b.csv": "prefix/deep/er/b.csv",
        "all/prefix-two/c.csv": "prefix-two/c.csv",
        "object/b.csv": "prefix/deep/er/b.csv",
        "part/deep/er/b.csv": "prefix/deep/er/b.csv",
    }


def test_manifest(cloud):
    for name in "abc":
        cloud.put(f"manifest/data/{name}", name.encode())
    manifest = json.dumps([{"prefix": f"s3://{BUCKET}/manifest/data/"}, "a", "c"])
    uri = cloud.put("manifest/list", manifest.encode())
    job = cloud.run(SAVE_TREE, InputDataConfig=[channel(uri, kind="ManifestFile")])
    assert tree_of(cloud, job) == {"training/a": "a", "training/c": "c"}


def test_manifest_that_names_a_missing_object(cloud):
    manifest = json.dumps([{"prefix": f"s3://{BUCKET}/manifest/data/"}, "missing"])
    job = cloud.run(
        SAVE_TREE, InputDataConfig=[channel(cloud.put("manifest/wrong", manifest.encode()), kind="ManifestFile")]
    )
    assert job["FailureReason"].startswith("ClientError: Data download failed:") and "NoSuchKey" in job["FailureReason"]
    assert job["SecondaryStatus"] == "Failed" and statuses(job) == ["Starting", "Downloading", "Failed"]


def test_augmented_manifest_and_pipe(cloud):
    lines = [
        {"image-ref": cloud.put(f"augmented/{n}", f"image {n}".encode()), "label": label}
        for n, label in ((1, 1), (2, "b"))
    ]
    uri = cloud.put("augmented.manifest", "\n".join(map(json.dumps, lines)).encode())
    source = {"AttributeNames": ["image-ref", "label"]}
    job = cloud.run(
        """
        with open("/opt/ml/model/algo-1.json", "w") as file:
            import json
            read = lambda name: open(f"/opt/ml/input/data/{name}", "rb").read().decode("latin-1")
            json.dump([read(name) for name in ("raw_0", "raw_1", "wrapped_0", "prefix_0")], file)
        """,
        InputDataConfig=[
            channel(uri, "raw", kind="AugmentedManifestFile", InputMode="Pipe", source=source),
            channel(
                uri,
                "wrapped",
                kind="AugmentedManifestFile",
                InputMode="Pipe",
                source=source,
                RecordWrapperType="RecordIO",
            ),
            channel(f"s3://{BUCKET}/augmented/", "prefix", InputMode="Pipe"),
        ],
    )
    records = ((7, b"image 1\0"), (1, b"1\0\0\0"), (7, b"image 2\0"), (1, b"b\0\0\0"))
    wrapped = b"".join(b"\x0a\x23\xd7\xce" + bytes([length, 0, 0, 0]) + content for length, content in records)
    assert tree_of(cloud, job) == ["image 11image 2b", "image 11image 2b", wrapped.decode("latin-1"), "image 1image 2"]


def test_sharded_by_s3_key(cloud):
    for name in "abcde":
        cloud.put(f"shards/{name}", name.encode())
    job = cloud.run(
        SAVE_TREE,
        ResourceConfig=hosts(2),
        InputDataConfig=[
            channel(f"s3://{BUCKET}/shards/", "part", "ShardedByS3Key"),
            channel(f"s3://{BUCKET}/shards/", "whole"),
        ],
    )
    first, second = tree_of(cloud, job), tree_of(cloud, job, "algo-2")
    assert set(first) | set(second) == {f"{name}/{letter}" for name in ("part", "whole") for letter in "abcde"}
    assert set(first) & set(second) == {f"whole/{letter}" for letter in "abcde"}


def test_pipes_of_two_hosts(cloud):
    """Each streams its own share, unpacked."""
    for name in "ab":
        cloud.put(f"packed/{name}", gzip.compress(name.encode()))
    packed = channel(f"s3://{BUCKET}/packed/", "it", "ShardedByS3Key", InputMode="Pipe", CompressionType="Gzip")
    job = cloud.run(
        """
        import json, os
        with open(f"/opt/ml/model/{os.environ['SM_CURRENT_HOST']}.json", "w") as file:
            json.dump(open("/opt/ml/input/data/it_0").read(), file)
        """,
        ResourceConfig=hosts(2),
        InputDataConfig=[packed],
    )
    assert [tree_of(cloud, job, host) for host in ("algo-1", "algo-2")] == ["a", "b"]


def test_what_a_container_is_told_of_a_channel():
    told = channels.config([channel("s3://b/k", InputMode="Pipe", RecordWrapperType="RecordIO")], "File")
    assert told["training"]["TrainingInputMode"] == "Pipe" and told["training"]["RecordWrapperType"] == "RecordIO"


def test_instance_groups(cloud):
    """Each host knows all hosts, and gets the channels of its group."""
    uri = cloud.put("groups/a", b"a")
    groups = [
        {"InstanceGroupName": name, "InstanceType": "ml.c4.xlarge", "InstanceCount": 1} for name in ("first", "second")
    ]
    job = cloud.run(
        SAVE_TREE + "    print(os.environ['SM_HOSTS'])",
        ResourceConfig={"InstanceGroups": groups, "VolumeSizeInGB": 1},
        InputDataConfig=[channel(uri, "all"), channel(uri, "one", source={"InstanceGroupNames": ["second"]})],
    )
    assert tree_of(cloud, job) == {"all/a": "a"}
    assert tree_of(cloud, job, "algo-2") == {"all/a": "a", "one/a": "a"}
    assert cloud.lines(job["TrainingJobName"]).count('["algo-1","algo-2"]') == 2


def test_a_key_with_two_slashes(cloud):
    cloud.put("twice//a", b"a")
    job = cloud.run(InputDataConfig=[channel(f"s3://{BUCKET}/twice")])
    assert job["FailureReason"].endswith(f"S3 key: s3://{BUCKET}/twice//a has an illegal char sub-sequence '//' in it")


def test_fast_file_is_read_only(cloud):
    cloud.put("fast/a", b"a")
    job = cloud.run(
        SAVE_TREE
        + """
    try:
        open("/opt/ml/input/data/training/b", "w")
    except OSError as error:
        print(error.strerror)
    """,
        InputDataConfig=[channel(f"s3://{BUCKET}/fast/", InputMode="FastFile")],
    )
    assert tree_of(cloud, job) == {"training/a": "a"}
    assert "Read-only file system" in cloud.lines(job["TrainingJobName"])


def test_checkpoints(cloud, monkeypatch):
    monkeypatch.setattr(artifacts, "INTERVAL", 0.1)
    config = {"S3Uri": f"s3://{BUCKET}/checkpoints", "LocalPath": "/opt/ml/checkpoints"}
    script = """
        import os, time
        print(sorted(os.listdir("/opt/ml/checkpoints")))
        open(f"/opt/ml/checkpoints/{os.environ['TRAINING_JOB_NAME']}", "w").write("state")
        open("/opt/ml/checkpoints/last", "w").write(os.environ["TRAINING_JOB_NAME"])
        print("ready")
        if "WAIT" in os.environ:
            time.sleep(90)
    """
    first = cloud.start(script, CheckpointConfig=config, Environment={"WAIT": "1"})
    cloud.wait_for_line(first, "ready")
    wait_for(lambda: cloud.keys("checkpoints/") == [f"checkpoints/{first}", "checkpoints/last"])  # while it runs
    cloud.sagemaker.stop_training_job(TrainingJobName=first)
    cloud.wait(first)
    monkeypatch.setattr(artifacts, "INTERVAL", 1000)
    second = cloud.run(script, CheckpointConfig=config)["TrainingJobName"]
    assert f"['{first}', 'last']" in cloud.lines(second)
    assert cloud.keys("checkpoints/") == sorted([f"checkpoints/{first}", f"checkpoints/{second}", "checkpoints/last"])
    assert cloud.get("checkpoints/last") == second.encode()


def test_an_object_that_is_replaced_while_it_is_read(cloud):
    cloud.put("replaced", b"old")
    found = store.buckets()[BUCKET].keys["replaced"]
    cloud.put("replaced", b"new")
    assert found.value == b"old" and cloud.get("replaced") == b"new"
