"""What needs a device: timing, memory, variants, limits, each case in a worker process."""
