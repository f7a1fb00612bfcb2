"""`train` of AWS's training toolkit, as AWS's images start it
(https://github.com/aws/sagemaker-training-toolkit#readme), but without a second TensorFlow.

The toolkit imports TensorFlow into its own process for the names of its exceptions, which it uses only where an entry
point's errors are captured, and here they are not. That takes 3.4 s and 500 MB before the script begins. An empty
module in its place leaves the script alone, for that runs in a process of its own.
"""

import os
import sys
from types import ModuleType

for name in ("tensorflow", "tensorflow.python", "tensorflow.python.framework"):
    sys.modules[name] = ModuleType(name)
sys.modules[name].errors_impl = ModuleType("errors_impl")
sys.path[0] = os.path.dirname(sys.executable)  # where `train` lies: the toolkit hands sys.path on to the script

if __name__ == "__main__":
    from sagemaker_training.cli.train import main

    main()
