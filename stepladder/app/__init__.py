"""The application face: loading, wiring and the verbs."""
