"""Tests of the pack types and actions that ship with grex."""
