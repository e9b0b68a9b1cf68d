"""Tests of grex.git, against real repositories."""
