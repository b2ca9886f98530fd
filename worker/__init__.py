"""The machine: it claims jobs, gives each attempt a unit of work, and brings every job to an ending."""
