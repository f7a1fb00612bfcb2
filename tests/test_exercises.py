"""The exercises: a blank is told what is wrong, in a sentence of exercises/checks.py, and other right answers pass."""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from editions import entries

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "exercises"
SOLUTIONS = sorted(FOLDER.glob("*-solution.ipynb"))
V3 = ROOT / ".venv-v3" / "bin" / "python"
SENTENCES = [
    re.compile(re.sub(r"\\\{[^}]*\\\}", "[\\\\s\\\\S]*", re.escape(sentence)))
    for sentence in entries(FOLDER / "checks.py")
]
sys.path.append(str(FOLDER))
checks = __import__("checks")


def answers(start, replacement, solutions):
    """What the checks say with these answers in the solutions, by notebook."""
    python = V3 if any(path.name.startswith("10-") for path in solutions) else "python"
    settings = dict(SANDBOX_STOP_SECONDS="2", LOCAL_MODE="0", SANDBOX_IMAGES="/dev/null")
    process = start(str(python), "tests/answers.py", replacement, *map(str, solutions), **settings)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def with_sdk(number):
    return [path for path in SOLUTIONS if path.name.startswith("10-") == (number == 3)]


@pytest.mark.parametrize("sdk", (2, 3))
def test_each_blank_is_told_what_is_wrong(start, sdk):
    for name, lines in answers(start, "blank", with_sdk(sdk)).items():
        assert len(lines) == sum(cell.source.startswith("checks.") for cell in cells(FOLDER / name))
        for line in lines:
            assert any(sentence.fullmatch(line) for sentence in SENTENCES), (name, line)
        assert len(set(lines)) == len(lines), (name, lines)


@pytest.mark.parametrize("sdk", (2, 3))
def test_another_right_answer_passes(start, sdk):
    solutions = [path for path in with_sdk(sdk) if any("another" in cell.metadata for cell in cells(path))]
    assert solutions
    for name, lines in answers(start, "another", solutions).items():
        assert set(lines) == {checks.RIGHT}, (name, lines)


def test_two_right_answers_and_wrong_ones_where_a_job_is_needed(capsys):
    def session(**job):
        return SimpleNamespace(describe_training_job=lambda name: job, list_s3_files=lambda bucket, key: job["files"])

    def said(check, *arguments):
        check(*arguments)
        return capsys.readouterr().out.strip()

    job = SimpleNamespace(latest_training_job=SimpleNamespace(name="job"), model_data="s3://b/job/model.tar.gz")
    for seconds, status, right in (
        (30, "MaxRuntimeExceeded", 1),
        (60, "MaxRuntimeExceeded", 1),
        (30, "Completed", 0),
        (90, "x", 0),
    ):
        ended = session(StoppingCondition={"MaxRuntimeInSeconds": seconds}, SecondaryStatus=status)
        assert (said(checks.limited, ended, job) == checks.RIGHT) == right
    for reason, right in (
        ("AlgorithmError: the channel holds no pictures, exit code: 1", 1),
        ("AlgorithmError: look.py: the channel holds no pictures, exit code: 1", 1),
        ("AlgorithmError: ExecuteUserScriptError:\nthe channel holds no pictures", 0),
    ):
        ended = session(TrainingJobStatus="Failed", FailureReason=reason)
        assert (said(checks.reason, ended, "job") == checks.RIGHT) == right
    assert said(checks.trained, session(files=["job/model.tar.gz"]), job) == checks.RIGHT
    assert "left no model" in said(checks.trained, session(files=[]), job)
    assert said(checks.predicts, [0, 1], [0, 1]) == said(checks.predicts, ["0", 1.0], [0, 1]) == checks.RIGHT
    assert "50%" in said(checks.predicts, [0, 0], [0, 1])


def test_an_error_in_a_learner_s_code_is_a_sentence(capsys):
    checks.share(lambda host, hosts, images: 1 / 0)
    checks.booleans(lambda arguments: sys.exit(2))
    first, second = capsys.readouterr().out.splitlines()
    assert first == "Your code ends in an error: ZeroDivisionError: division by zero."
    assert second.startswith("`parse(['--shuffle', 'False'])` gives SystemExit(2)")


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_shape(path):
    """Two exercises, each with a blank, a check and a hint; the last one has three parts."""
    count = 3 if path.name.startswith("project-") else 2
    text = "\n".join(entries(path))
    assert len(re.findall(r"^## \d\. ", text, re.MULTILINE)) == text.count("<summary>Hint</summary>") == count
    assert sum("blank" in cell.metadata for cell in cells(path)) == count
    said = [output.text for cell in cells(path) if cell.source.startswith("checks.") for output in cell.outputs]
    assert said == [checks.RIGHT + "\n"] * count
    assert re.search(r"\*\*Time:\*\* \d+ minutes", text) and "**Cost:**" in text
