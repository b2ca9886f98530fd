"""Meetings and transcripts in PostgreSQL."""
