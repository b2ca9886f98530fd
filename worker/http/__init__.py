"""The worker's small HTTP server: whether it lives, whether it is ready, its metrics. Imported when switched on."""
