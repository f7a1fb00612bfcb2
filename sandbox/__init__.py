"""An AWS account on this machine: `python -m sandbox COMMAND` runs a command inside it.

__main__.py    the command line
account.py     the account: moto's proxy, an execution role, the environment of the command
permissions.py IAM: who may do what, and S3 as the holder of a role sees it
folders.py     the temporary folder, and those that killed sandboxes have left

Managed jobs, in the order in which they come into play:
validation.py  what CreateTrainingJob refuses, and in which words
jobs.py        the life of a job, and the API's operations on jobs
channels.py    input data from S3 to the job's folder
container.py   a host of a job: its folder, configuration files, environment and processes
host.py        the first process of a host: its own /opt/ml, host name and processes
toolkit.py     `train` of AWS's training toolkit
logs.py        the job's log, and the metrics in it
artifacts.py   model.tar.gz, output.tar.gz and checkpoints

local_mode.py  Docker for SageMaker's local mode: is it there, may containers reach S3, what to clean up
studio.py      a Studio space around the command: its metadata, its home and its network of Docker's
image.py       building the training image of local mode from Dockerfile
"""
