"""What operators see of jobs, meetings and workers, and the few things they may do to them. Nothing here prints."""
