"""Tests of where a workspace is and how it is configured."""
