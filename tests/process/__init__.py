"""Tests of grex.process."""
