"""What the worker costs and how fast it is, measured beside its peers on the same servers."""
