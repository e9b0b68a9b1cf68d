"""Tests of what names, paths, URLs and refs may look like."""
