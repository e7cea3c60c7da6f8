"""The Open Inference Protocol, version 2: what its REST and gRPC fronts share, and REST itself."""
