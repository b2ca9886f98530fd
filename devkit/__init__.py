"""Tools for people who work in this checkout: servers to develop against. The product imports none of it."""
