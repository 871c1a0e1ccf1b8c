"""Frozen values that every room of GridLab speaks in; no behaviour beyond checking themselves."""
