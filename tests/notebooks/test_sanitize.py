"""tests/notebooks/sanitize.cfg: what may differ from run to run does, and a wrong value in its place is seen."""

import re
from pathlib import Path

import pytest
from nbval.plugin import get_sanitize_patterns

PATTERNS = get_sanitize_patterns((Path(__file__).with_name("sanitize.cfg")).read_text(encoding="utf-8"))
EPOCH = "epoch=1 loss={} accuracy={} test_loss={} test_accuracy={}"
DIED = "An error occurred ({}) when calling the PutObject operation: {}"
ANSWER = '{{\n    "predictions": [[' + "0.1, " * 9 + "{}\n        ]\n    ]\n}}"
ROW = '<td style="text-align: left">{}</td>\n      <td style="text-align: left">{}</td>'


def sanitized(text):
    for regex, replacement in PATTERNS:
        text = re.sub(regex, replacement, text)
    return text


# A value of one run, one of another run, and wrong ones.
CASES = {
    "metrics of an epoch": (
        EPOCH.format("0.2316", "0.9313", "0.0762", "0.9787"),
        EPOCH.format("0.3102", "0.9013", "0.1102", "0.9512"),
        EPOCH.format("0.4316", "0.9313", "0.0762", "0.9787"),
        EPOCH.format("0.2316", "0.8913", "0.0762", "0.9787"),
        EPOCH.format("0.2316", "0.9313", "0.2762", "0.9787"),
        EPOCH.format("0.2316", "0.9313", "0.0762", "0.9487"),
        EPOCH.format("0.2316", "0.9313", "0.0762", "nan"),
        EPOCH.replace("=1", "=2").format("0.2316", "0.9313", "0.0762", "0.9787"),
    ),
    "accuracy": ("0.9866", "0.9750", "0.9312", "1.0000", "0.987"),
    "what was tried": (
        ROW.format("0.0017", '"256"') + "\n<td>0.9731</td>",
        f"{ROW.format('0.01', '512')}\n<td>0.97</td>",
        f"{ROW.format('0.2', '512')}\n<td>0.97</td>",
        f"{ROW.format('0.01', '64')}\n<td>0.97</td>",
        f"{ROW.format('0.01', '512')}\n<td>0.67</td>",
    ),
    "job of a tuning job": (
        "'mnist-2026-11-26-08-00-12-123-006-5779f3d9'",
        "'mnist-2027-12-31-23-59-59-999-001-00aa11bb'",
        "'mnist-2026-11-26-08-00-12-123'",
        "'mnist-2026-11-26-08-00-12-123-6-5779f3d9'",
    ),
    "answer of an endpoint": (
        ANSWER.format("1.5e-08"),
        ANSWER.format("0.000133298265"),  # twelve digits, and no account
        ANSWER.format("nan"),
        ANSWER.format("12.5"),
        ANSWER.format("0.5, 0.5"),
    ),
    "file for TensorBoard": (
        "'events.out.tfevents.1795685672.algo-1.29.0.v2'",
        "'events.out.tfevents.1600000000.ip-10-0-1-2.ec2.internal.7.5.v2'",
        "'events.out.tfevents.1600000000.algo-1.29.0.v1'",
        "'metrics.1600000000.algo-1.29.0.v2'",
    ),
    "accuracy in a table": (">0.98<", ">0.9787<", ">0.94<"),
    "loss in a table": (ROW.format("loss", "0.2316"), ROW.format("loss", "0.3016"), ROW.format("loss", "0.5316")),
    "seconds of a job": (
        "{'TrainingTimeInSeconds': 8, 'BillableTimeInSeconds': 8}",
        "{'TrainingTimeInSeconds': 12, 'BillableTimeInSeconds': 12}",
        "{'TrainingTimeInSeconds': 8, 'BillableTimeInSeconds': 7}",
        "{'TrainingTimeInSeconds': 0, 'BillableTimeInSeconds': 0}",
    ),
    "seconds in a table": (">7 s<", ">112 s<", ">1000 s<", ">-1 s<"),
    "cost of a job": (">0.0005 USD<", ">0.0021 USD<", ">0.0000 USD<", ">0.1000 USD<"),
    "epochs of a stopped job": ("'5 / 500'", "'12 / 500'", "'500 / 500'"),
    "where a job goes on": (
        "'resumes in epoch 6 after 0 steps'",
        "'resumes in epoch 7 after 31 steps'",
        "'resumes in epoch 1 after 0 steps'",
    ),
    "account": ("iam::123456789012:role", "iam::210987654321:role", "iam::763104351884:role", "iam::1234:role"),
    "region": ("sagemaker-us-east-1-x", "sagemaker-eu-west-3-x", "sagemaker-moon-1-x"),
    "job name": ("mnist-2026-11-25-16-07-06-922", "mnist-2027-01-02-03-04-05-006", "mnist-2027-01-02"),
    "host": ("algo-1-x7k2p", "algo-1", "algo-2"),
    "instance type": ("'ml.c4.xlarge'", "'local'", "'ml.p4d.24xlarge'"),
    "processors": (ROW.format("SM_NUM_CPUS", "2"), ROW.format("SM_NUM_CPUS", "64"), ROW.format("SM_NUM_CPUS", "–")),
    "denied": (
        DIED.format("AccessDenied", "Access Denied"),
        DIED.format("AccessDenied", "User: x is not authorized"),
        DIED.format("NoSuchBucket", "Access Denied"),
    ),
    "module of SDK 2": (
        "No module named 'sagemaker.tensorflow'",
        "`sagemaker.tensorflow` was removed in the SageMaker Python SDK v3. \nSee the migration guide.",
        "No module named 'sagemaker'",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_may_differ(case):
    one, other, *wrong = case
    assert sanitized(one) == sanitized(other)
    for text in wrong:
        assert sanitized(text) != sanitized(one), text
