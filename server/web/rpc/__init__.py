"""The gRPC front: the Open Inference Protocol, health and reflection. It needs the extra `grpc`.

Two variables are set here, before gRPC is loaded by any module of this package: it reads them once.
"""

import os

os.putenv("GRPC_ENABLE_FORK_SUPPORT", "0")  # workers are started by exec: nothing of gRPC goes on in them
os.putenv("GRPC_VERBOSITY", "NONE")  # its log has another format than ours, and a line for every client that hangs up
