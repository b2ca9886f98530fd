"""NoteFlow's meetings and transcripts: what they are, how they are asked for, how they are kept."""
