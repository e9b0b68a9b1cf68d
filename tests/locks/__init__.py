"""Tests of `grex.locks`."""
