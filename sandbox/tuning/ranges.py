"""The ranges of hyperparameters that a tuning job searches: read from its request, with what AWS refuses of them.

https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-define-ranges.html. How a value becomes text is
as people see it in the descriptions of their jobs on AWS: 3, 0.0037170512924477993, 5.081388147234708e-06.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

from sandbox.aws.call import Members
from sandbox.aws.errors import refuse

NUMBERS: dict[str, Any] = {"Integer": int, "Continuous": float}
# AWS does not say where Auto becomes logarithmic; here, where a range spans so many times its smallest value.
AUTO_LOGARITHMIC = 1000


@dataclass(frozen=True)
class Range:
    """One hyperparameter: `kind` is Integer, Continuous or Categorical; `choices` are the texts of a categorical one,
    `low` and `high` the numbers of the others; `scaling` is Linear, Logarithmic or ReverseLogarithmic."""

    name: str
    kind: str
    choices: tuple[str, ...] = ()
    low: float = 0
    high: float = 0
    scaling: str = "Linear"

    @property
    def combinations(self) -> float:
        """How many values there are."""
        return {"Categorical": len(self.choices), "Integer": self.high - self.low + 1}.get(self.kind, math.inf)


def number(kind: str, parameter: Members, member: str) -> float:
    text = parameter[member]
    try:
        value = NUMBERS[kind](text)
        if not re.fullmatch(r"[-+.\deE]+", text, re.ASCII) or not math.isfinite(value):  # inf, or Python's 1_000
            raise ValueError
        return value
    except ValueError:
        refuse(f"Invalid {kind}ParameterRange {parameter['Name']}: {member} {text} is no {kind.lower()} value")


def numeric(kind: str, parameter: Members) -> Range:
    """An integer or continuous range of the request -> Range"""
    name, asked = parameter["Name"], parameter.get("ScalingType", "Auto")
    low, high = (number(kind, parameter, member) for member in ("MinValue", "MaxValue"))
    if low > high:
        refuse(f"Invalid {kind}ParameterRange {name}: MinValue {low} is greater than MaxValue {high}")
    if not math.isfinite(high - low):
        refuse(f"Invalid {kind}ParameterRange {name}: from {low} to {high} is more than a floating-point number holds")
    if asked == "Logarithmic" and low <= 0:
        refuse(f"Invalid {kind}ParameterRange {name}: Logarithmic scaling works only for values greater than 0")
    if asked == "ReverseLogarithmic" and (kind == "Integer" or low < 0 or high >= 1):
        refuse(
            f"Invalid {kind}ParameterRange {name}: ReverseLogarithmic scaling works only for continuous ranges that "
            "are entirely within 0 <= x < 1.0"
        )
    if asked == "Auto":
        asked = "Logarithmic" if low > 0 and high / low >= AUTO_LOGARITHMIC else "Linear"
    return Range(name, kind, low=low, high=high, scaling=asked)


def read(parameters: Members) -> list[Range]:
    """ParameterRanges of the request -> [Range]"""
    found = [
        numeric(kind, parameter)
        for kind in ("Integer", "Continuous")
        for parameter in parameters.get(f"{kind}ParameterRanges", [])
    ]
    for parameter in parameters.get("CategoricalParameterRanges", []):
        choices = tuple(dict.fromkeys(parameter["Values"]))
        found.append(Range(parameter["Name"], "Categorical", choices=choices))
    return found
