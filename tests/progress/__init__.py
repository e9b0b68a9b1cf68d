"""Tests of the room that says what a run does."""
