"""stepladder inside other tools."""
