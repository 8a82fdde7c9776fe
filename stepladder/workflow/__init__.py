"""Workflow files: read, checked, resolved into a Definition, hashed and linted."""
