"""Tests of what pack.yaml may say, and what it means."""
