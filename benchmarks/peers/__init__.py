"""One module a system: how it works and how it enqueues. Each runs as a program in an environment of its own."""
