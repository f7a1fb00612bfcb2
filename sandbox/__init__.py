"""An AWS account on this machine: `python -m sandbox COMMAND` runs a command inside it.

The floors, from the top down; each imports only from those below it, and `make lint` checks that.

__main__.py    the command line
account.py     the account: what binds the floors, the way of a request, the environment of a command inside
local_mode/    Docker for SageMaker's local mode, and a Studio space around a command
tuning/        tuning jobs, which train training jobs: operations, members, ranges, strategy, job, record
endpoints/     models behind endpoints: operations, members, record, endpoint, fleet, instance, archive
training/      training jobs: operations, members, job, clock, run, channels, artifacts, logs, record, search
api/           what every operation of SageMaker shares
    table.py        operations as a table, and the steps of a request that use it
    validation.py   the constraints of the API reference
    members.py      which members of a request are fulfilled, and which are refused by name
    resources.py    what a request names must be there: a role, an image, a quota
    record.py       what clients see of every resource
    jobs.py         jobs of one kind, by region and name
    tags.py         tags
    paging.py       lists, page by page
    s3_data.py      the objects of a data source, and their way into a folder
aws/           moto and the way in
    proxy.py         takes requests in, and passes those for other hosts through
    router.py        hands each of them down the way, and logs it
    call.py          a request on its way
    refusal.py       the answer for a service that the sandbox does not run
    authorization.py who sends a request, and may they
    policies.py      what IAM's policies allow
    role.py          a role in other hands, and S3 as its holder sees it
    store.py         S3 without the wire
    logs.py          CloudWatch as a host writes it
    certificates.py  the certificates of AWS's hosts
    errors.py, arns.py, service_model.py, backends.py   errors, names, AWS's description of its services, moto's memory
machine/       what this machine is to a job, and to an endpoint
    hosts.py         a host: its folders, its configuration files, its start and its end
    namespaces/      how a host is kept apart: the program that starts it, its files, its network
    kernel.py        calls of Linux that Python lacks
    environments.py  the Python environment that a job's image means
    toolkit.py       `train` of AWS's container code, pinned in container.txt
    garbage_collection.py   what makes Python start and end sooner with TensorFlow
    folders.py       the sandbox's temporary folder, and those that killed sandboxes have left
serving/       what runs in an endpoint's container, as AWS's container for TensorFlow Serving does
log.py         the log: a line for each request, and tracebacks
settings.py    the sandbox's own settings, environment variables

DIFFERENCES.md  what still differs from AWS
"""
