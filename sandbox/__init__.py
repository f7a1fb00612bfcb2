"""An AWS account on this machine: `python -m sandbox COMMAND` runs a command inside it.

account.py    the account: moto's proxy, the bucket's S3, an execution role, the environment of the command
local_mode.py Docker for SageMaker's local mode: is it there, may containers reach S3, what to clean up
Dockerfile    the training image of local mode
__main__.py   the command line
"""
