"""Composition root, facade, daemon and configuration."""
