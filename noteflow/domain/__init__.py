"""What meetings and transcripts are, and what may be asked of them. Needs the standard library only."""
