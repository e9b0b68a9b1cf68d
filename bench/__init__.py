"""Measurements: `python -m bench` prints ratios of one interleaved run, `python -m bench NAME...` only some of them.

A figure of one machine at one moment says little; so everything that is compared runs in turns within one run, and the
medians are compared. Whoever changes a hot path runs the one that is about it before and after.
"""
