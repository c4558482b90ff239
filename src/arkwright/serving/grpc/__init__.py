"""The Open Inference Protocol over gRPC; loaded only where ``grpc_port`` is set."""
