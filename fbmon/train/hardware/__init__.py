"""The hardware that computes: devices, their precisions, threads, memory and time."""
