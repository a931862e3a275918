"""What computes: devices, their precisions, threads, memory and time."""
