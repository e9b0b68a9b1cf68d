"""Tests that run the real `grex` in processes of its own, on real git repositories."""
