"""What a worker process tells of itself in numbers and spans. Costs next to nothing until it is switched on."""
