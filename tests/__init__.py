"""Tests of grex; the tree mirrors the package."""
