"""Which values the next training job gets: Optuna's samplers (https://optuna.readthedocs.io), asked and told.

What AWS's strategies do: https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-how-it-works.html. For
Bayesian AWS fits a Gaussian process; Optuna's needs PyTorch, so here its tree of Parzen estimators (TPE) chooses.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from sandbox.tuning.ranges import Range

# Values that TPE draws at random before it learns. Optuna's 10 would be all of a small tuning job.
STARTUP = 4
REDRAWS = 100  # of values that another training job has had already, where there are others
optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def distribution(parameter: Range) -> Any:
    """A range as Optuna draws from it; a reverse logarithmic one as what its values lack to 1."""
    if parameter.kind == "Categorical":
        return CategoricalDistribution(parameter.choices)
    if parameter.scaling == "ReverseLogarithmic":
        return FloatDistribution(1 - parameter.high, 1 - parameter.low, log=True)
    kind = IntDistribution if parameter.kind == "Integer" else FloatDistribution
    return kind(parameter.low, parameter.high, log=parameter.scaling == "Logarithmic")


def text(parameter: Range, drawn: Any) -> str:
    """What Optuna drew -> the value as the job gets it."""
    if parameter.scaling == "ReverseLogarithmic":
        drawn = min(max(1 - drawn, parameter.low), parameter.high)
    return str(drawn)


def sampler(name: str, space: dict[str, Any], seed: int | None) -> Any:
    if name == "Grid":
        return optuna.samplers.GridSampler({key: list(kind.choices) for key, kind in space.items()}, seed=seed)
    if name == "Random":
        return optuna.samplers.RandomSampler(seed=seed)
    # Parameters together, not one by one. What still runs counts as bad, so that jobs at a time get different values.
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP, multivariate=True, constant_liar=True)


class Strategy:
    """One search. `name` is Bayesian, Random or Grid; the same `seed` gives the same values for the same results."""

    def __init__(self, name: str, parameters: Sequence[Range], maximize: bool, seed: int | None = None) -> None:
        self.parameters, self.learns = parameters, name != "Grid"
        self.space = {parameter.name: distribution(parameter) for parameter in parameters}
        direction = "maximize" if maximize else "minimize"
        self.study = optuna.create_study(direction=direction, sampler=sampler(name, self.space, seed))
        self.given: list[dict[str, str]] = []

    def ask(self) -> tuple[Any, dict[str, str]]:
        """-> a trial, and the hyperparameters that it tries: {name: text}"""
        trial, values = self.draw()
        for _ in range(REDRAWS):
            if values in self.given:
                self.tell(trial, None)
                trial, values = self.draw()
        self.given.append(values)
        return trial, values

    def draw(self) -> tuple[Any, dict[str, str]]:
        trial = self.study.ask(self.space)
        return trial, {parameter.name: text(parameter, trial.params[parameter.name]) for parameter in self.parameters}

    def tell(self, trial: Any, objective: float | None) -> None:
        """What became of a trial: its objective, or None for one without. A grid learns nothing from it."""
        if self.learns and objective is None:
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        elif self.learns:
            self.study.tell(trial, objective)
