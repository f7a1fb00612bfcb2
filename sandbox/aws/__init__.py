"""AWS as the account answers it: moto (https://docs.getmoto.org) and the way in. No other room imports moto.

moto's proxy answers for S3, IAM, STS, CloudWatch and some more as AWS does, in memory. For SageMaker it would only
pretend, so those operations are answered from tables of the sandbox's own, and what is in no table is refused.
"""

import os
import warnings

# moto reads these while it is imported: requests come over the wire, and AWS's managed policies exist.
os.environ["TEST_PROXY_MODE"] = os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
# Else moto makes the IAM of five partitions to look for a key in each. It is moto's own number for the one account.
os.environ["MOTO_ACCOUNT_ID"] = "123456789012"
warnings.filterwarnings("ignore", "Exception.* does not match an error shape")  # denials are in no service's model
