"""Which values a tuning job tries: ranges and their scaling, seeds, strategies. No job runs."""

import statistics

import pytest

from sandbox.aws.errors import Error
from sandbox.tuning import ranges
from sandbox.tuning.strategy import Strategy


def parameters(kind="Continuous", low="0.0001", high="1", **more):
    return ranges.read({f"{kind}ParameterRanges": [{"Name": "x", "MinValue": low, "MaxValue": high, **more}]})


def drawn(found, count=200, strategy="Random", seed=1):
    search = Strategy(strategy, found, maximize=False, seed=seed)
    return [search.ask()[1]["x"] for _ in range(count)]


@pytest.mark.parametrize(
    ("scaling", "low", "high", "middle"),
    [
        ("Linear", "0.0001", "1", (0.4, 0.6)),
        ("Logarithmic", "0.0001", "1", (0.005, 0.02)),
        ("Auto", "0.0001", "1", (0.005, 0.02)),
        ("Auto", "0.1", "1", (0.5, 0.6)),
        ("Auto", "0", "1", (0.4, 0.6)),
        ("ReverseLogarithmic", "0", "0.9999", (0.98, 0.995)),
    ],
)
def test_scaling(scaling, low, high, middle):
    values = [float(text) for text in drawn(parameters(low=low, high=high, ScalingType=scaling))]
    assert all(float(low) <= value <= float(high) for value in values)
    assert middle[0] < statistics.median(values) < middle[1]


def test_a_range_ends_where_it_says():
    """Though 1 - (1 - 0.1) is less than 0.1."""
    assert drawn(parameters(low="0.1", high="0.1", ScalingType="ReverseLogarithmic"), 1) == ["0.1"]


def test_integers():
    values = drawn(parameters("Integer", "1", "1000000", ScalingType="Logarithmic"), 100)
    assert all(text.isdigit() and 1 <= int(text) <= 1000000 for text in values)
    assert 100 < statistics.median(map(int, values)) < 10000
    assert set(drawn(parameters("Integer", "-1", "1"), 3)) == {"-1", "0", "1"}
    assert parameters("Integer", "-1", "1")[0].combinations == 3


def test_categories_are_given_as_they_are():
    found = ranges.read({"CategoricalParameterRanges": [{"Name": "x", "Values": ['"adam"', "01", '"adam"']}]})
    assert sorted(drawn(found, 2)) == ['"adam"', "01"] and found[0].combinations == 2


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_no_values_are_tried_twice_where_there_are_others(strategy):
    assert sorted(drawn(parameters("Integer", "1", "9"), 9, strategy)) == [str(number) for number in range(1, 10)]


@pytest.mark.parametrize("strategy", ["Random", "Bayesian", "Grid"])
def test_a_seed_gives_the_same_values_again(strategy):
    grid = ranges.read({"CategoricalParameterRanges": [{"Name": "x", "Values": [str(n) for n in range(20)]}]})
    found = grid if strategy == "Grid" else parameters()
    one, same, other, free, again = (drawn(found, 8, strategy, seed) for seed in (7, 7, 8, None, None))
    assert one == same != other
    assert (free == again) == (strategy == "Grid")  # whose order does not matter


@pytest.mark.parametrize("maximize", [False, True])
def test_bayesian_learns(maximize):
    """From the results of 40 jobs, two at a time, one without a result: the last are nearer to the best than chance."""
    found, last = parameters(low="0", high="1"), {}
    for strategy in ("Random", "Bayesian"):
        last[strategy] = []
        for seed in range(5):
            search, distances = Strategy(strategy, found, maximize, seed=seed), []
            for number in range(20):
                for trial, values in [search.ask(), search.ask()]:
                    distances.append(abs(float(values["x"]) - 0.7))
                    search.tell(trial, (-1 if maximize else 1) * distances[-1] if number else None)
            last[strategy] += distances[-10:]
    assert statistics.median(last["Bayesian"]) < statistics.median(last["Random"]) / 2


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_a_single_value_is_tried_again(strategy):
    """And told: a continuous range counts as one with values enough."""
    search = Strategy(strategy, parameters(low="0.5", high="0.5"), maximize=False)
    for _ in range(6):
        trial, values = search.ask()
        assert values == {"x": "0.5"}
        search.tell(trial, 1.0)


@pytest.mark.parametrize(
    ("kind", "low", "high", "message"),
    [
        ("Integer", "1e-3", "1", "MinValue 1e-3 is no integer value"),
        ("Integer", "1_0", "20", "MinValue 1_0 is no integer value"),
        ("Integer", " 1", "20", "MinValue  1 is no integer value"),
        ("Continuous", "0", "nan", "MaxValue nan is no continuous value"),
        ("Continuous", "0", "1e999", "MaxValue 1e999 is no continuous value"),
        ("Continuous", "-1e308", "1e308", "is more than a floating-point number holds"),
    ],
)
def test_refused(kind, low, high, message):
    with pytest.raises(Error, match=message):
        parameters(kind, low, high)
