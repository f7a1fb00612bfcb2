"""What CreateHyperParameterTuningJob's request may ask for here, and what is refused before anything runs.

The members are those of the API reference
(https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateHyperParameterTuningJob.html). A training job of
it is checked as every training job is. The messages are those that people met on AWS and quoted, where there are any.
"""

import math
from collections.abc import Sequence

from sandbox.api import validation
from sandbox.api.members import check_fulfilled
from sandbox.api.tags import check_tags
from sandbox.aws.call import Members
from sandbox.aws.errors import refuse
from sandbox.training import members as training
from sandbox.tuning import ranges
from sandbox.tuning.ranges import Range

OBJECTIVE = "_tuning_objective_metric"  # the hyperparameter that names the objective to every training job
MAXIMUM_PARALLEL = 10  # https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-limits.html
MAXIMUM_JOBS = 750
OTHER_RESOURCES = "HyperParameterTuningResourceConfig"  # in the place of ResourceConfig; SDK 2 sends it always
# Of a training job's definition, what CreateTrainingJob does not know.
OWN_MEMBERS = ("DefinitionName", "StaticHyperParameters", OTHER_RESOURCES)

FULFILLED = (
    """
    HyperParameterTuningJobName  Tags.Key  Tags.Value
    HyperParameterTuningJobConfig.Strategy  HyperParameterTuningJobConfig.RandomSeed
    HyperParameterTuningJobConfig.TrainingJobEarlyStoppingType
    HyperParameterTuningJobConfig.HyperParameterTuningJobObjective.Type
    HyperParameterTuningJobConfig.HyperParameterTuningJobObjective.MetricName
    HyperParameterTuningJobConfig.ResourceLimits.MaxNumberOfTrainingJobs
    HyperParameterTuningJobConfig.ResourceLimits.MaxParallelTrainingJobs
    HyperParameterTuningJobConfig.ResourceLimits.MaxRuntimeInSeconds
    HyperParameterTuningJobConfig.ParameterRanges.CategoricalParameterRanges.Name
    HyperParameterTuningJobConfig.ParameterRanges.CategoricalParameterRanges.Values
    TrainingJobDefinition.DefinitionName  TrainingJobDefinition.StaticHyperParameters
""".split()
    + [
        f"HyperParameterTuningJobConfig.ParameterRanges.{kind}ParameterRanges.{member}"
        for kind in ranges.NUMBERS
        for member in ("Name", "MinValue", "MaxValue", "ScalingType")
    ]
)
KNOWN = {
    *FULFILLED,
    *(f"TrainingJobDefinition.{path}" for path in (*training.FULFILLED, *training.WITHOUT_EFFECT)),
    *(
        f"TrainingJobDefinition.{OTHER_RESOURCES}.{name}"
        for name in ("InstanceType", "InstanceCount", "VolumeSizeInGB")
    ),
}


def check_members(request: Members) -> None:
    config = request.get("HyperParameterTuningJobConfig", {})
    # A target of 0 would look as if it asked for nothing.
    if config.get("TuningJobCompletionCriteria"):
        refuse("The sandbox does not fulfil HyperParameterTuningJobConfig.TuningJobCompletionCriteria: ask without it.")
    check_fulfilled("CreateHyperParameterTuningJob", request, KNOWN, (), "tuning job")
    if config.get("Strategy") == "Hyperband":
        refuse("The sandbox does not run strategy Hyperband: use Bayesian, Random or Grid, or AWS.")
    if config.get("TrainingJobEarlyStoppingType") == "Auto":
        refuse(
            "The sandbox does not stop training jobs early: ask with TrainingJobEarlyStoppingType Off, or run on AWS."
        )


def check(request: Members, region: str, names: Sequence[str]) -> list[Range]:
    """Refuse a request that the service would refuse, or that the sandbox cannot fulfil -> [Range]"""
    required = ("TrainingJobDefinition",) if "TrainingJobDefinitions" not in request else ()
    validation.check("CreateHyperParameterTuningJob", request, required=required)
    name, config = request["HyperParameterTuningJobName"], request["HyperParameterTuningJobConfig"]
    if name.lower() in (other.lower() for other in names):
        refuse(
            f"A hyperparameter tuning job with the name, {name}, already exists. Choose a different name.",
            "ResourceInUse",
        )
    check_members(request)
    check_tags(request.get("Tags", []))
    definition = request["TrainingJobDefinition"]
    check_objective(config.get("HyperParameterTuningJobObjective"), definition)
    if ("ResourceConfig" in definition) == (OTHER_RESOURCES in definition):
        refuse(f"Invalid TrainingJobDefinition: exactly one of ResourceConfig and {OTHER_RESOURCES} is needed")
    found = ranges.read(config.get("ParameterRanges", {}))
    check_names([parameter.name for parameter in found], definition.get("StaticHyperParameters", {}))
    check_limits(config, found)
    return found


def check_objective(objective: Members | None, definition: Members) -> None:
    if objective is None:
        refuse("Invalid HyperParameterTuningJobConfig: HyperParameterTuningJobObjective is missing")
    metrics = definition["AlgorithmSpecification"].get("MetricDefinitions", [])
    if objective["MetricName"] not in [metric["Name"] for metric in metrics]:
        refuse(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric "
            "definitions."
        )


def check_names(names: Sequence[str], static: Members) -> None:
    if not names:
        refuse("Invalid HyperParameterTuningJobConfig: ParameterRanges has no range")
    for name in names:
        if names.count(name) > 1 or name in static:
            refuse(f"Invalid hyperparameter {name}: it is given more than once, in ranges or StaticHyperParameters")


def check_limits(config: Members, found: Sequence[Range]) -> None:
    limits, combinations = config["ResourceLimits"], math.prod(parameter.combinations for parameter in found)
    parallel, jobs = limits["MaxParallelTrainingJobs"], limits.get("MaxNumberOfTrainingJobs")
    if config["Strategy"] == "Grid":
        if any(parameter.kind != "Categorical" for parameter in found):
            refuse("Only categorical parameters are supported when using the grid search strategy.")
        if jobs not in (None, combinations):
            refuse(
                f"The value of MaxNumberOfTrainingJobs, [{jobs}], should equal the total number of distinct "
                f"categorical combinations possible, [{combinations}]."
            )
        jobs = combinations
    elif jobs is None:
        refuse("Invalid ResourceLimits: MaxNumberOfTrainingJobs is missing")
    if jobs > combinations:
        refuse(
            "You don't have enough combinations of hyperparameter ranges. The total number of hyperparameter "
            f"combinations for the provided ranges [{float(combinations)}] must be equal or greater than the value of "
            f"MaxNumberOfJobs, [{jobs}]. Provide additional ranges."
        )
    for what, asked, most in (("parallel training", parallel, MAXIMUM_PARALLEL), ("training", jobs, MAXIMUM_JOBS)):
        if asked > most:
            refuse(
                f"The account-level service limit 'Number of {what} jobs per hyperparameter tuning job' is {most} "
                f"Training Jobs, with current utilization of 0 Training Jobs and a request delta of {asked} Training "
                "Jobs. Please use AWS Service Quotas to request an increase for this quota.",
                "ResourceLimitExceeded",
            )


def training_request(request: Members, name: str, values: dict[str, str]) -> Members:
    """The request of a tuning job's training job with this name and these values of the ranges."""
    definition = request["TrainingJobDefinition"]
    return {
        **{member: value for member, value in definition.items() if member not in OWN_MEMBERS},
        "TrainingJobName": name,
        "HyperParameters": definition["StaticHyperParameters"] | values,
        **({"Tags": request["Tags"]} if request.get("Tags") else {}),
    }
