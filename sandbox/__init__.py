"""An AWS account on this machine: `python -m sandbox COMMAND` runs a command inside it.

__main__.py    the command line
settings.py    the sandbox's own settings, environment variables

account/       who is asked, and may they
    account.py      the account: an execution role, the environment of the command
    proxy.py        the way into it, for clients and for jobs
    permissions.py  what the holder of a role may do
    table.py        SageMaker's operations as one table, and everybody's tags
    backend.py      moto, and all that is known of its inside

machine/       what this machine is to a job, and to an endpoint
    container.py    a host: its folders, its configuration files, its start and its end
    host.py         the program that starts a host's command, in namespaces
    filesystem.py   the files that a job sees
    network.py      the network of a job's hosts
    kernel.py       Linux's calls that the three need
    images.py       the Python environment that a job's image means
    toolkit.py      `train` of AWS's container code, pinned in container.txt
    fewer_collections.py  what makes Python start and end sooner with TensorFlow
    folders.py      the sandbox's temporary folder, and those that killed sandboxes have left

training/      training jobs, in the order in which their files come into play
    operations.py   SageMaker's operations on training jobs
    request.py      the table of a request's members, and what is refused
    validation.py   the constraints of the API reference
    job.py          the life of a job
    record.py       what clients see of it
    run.py          one run, on hosts of its own
    channels.py     input data from S3
    logs.py         the log, and the metrics in it
    artifacts.py    model.tar.gz, output.tar.gz, checkpoints and TensorBoard's files
    search.py       ListTrainingJobs and Search

tuning/        tuning jobs, which train training jobs
    operations.py   the operations on them
    request.py      what a request may ask for, and what is refused
    ranges.py       the ranges that a search has
    strategy.py     Optuna, which chooses the values
    job.py          the life of a tuning job
    record.py       what clients see of it

endpoints/     models behind endpoints
    operations.py   SageMaker's operations on models, configurations and endpoints, and InvokeEndpoint
    request.py      the table of their requests' members, and what is refused
    record.py       what clients see of them
    endpoint.py     the life of an endpoint
    fleet.py        its instances, from the first ping to the last request
    archive.py      the model's data from S3
    instance.py     one instance: a container, and the requests to it

serving/       what runs in an endpoint's container, as AWS's container for TensorFlow Serving
    server.py       /ping and /invocations
    models.py       the SavedModels
    inputs.py       from JSON to tensors
    outputs.py      and back

local_mode/    Docker for SageMaker's local mode
    docker.py       is it there, may containers reach S3, what to clean up
    image.py        building the training image from Dockerfile
    studio.py       a Studio space around the command

DIFFERENCES.md  what still differs from AWS
"""
