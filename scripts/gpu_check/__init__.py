"""The parts of `scripts/gpu-check`. Nothing but Python's own library is needed, except by the clients of peers."""
