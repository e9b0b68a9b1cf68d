"""Tests of the room that walks, plans and schedules."""
