"""Redis scripts, each of which opens by naming every key it touches."""
