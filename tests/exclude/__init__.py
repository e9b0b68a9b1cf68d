"""Tests of hiding from git."""
