"""The Open Inference Protocol, version 2: what Triton and KServe speak, and their clients expect."""
