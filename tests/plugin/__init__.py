"""Tests of the plugin API, the registry and the example plugin."""
