"""Plays the producer against real servers and real workers, kills one of them, and checks every word."""
