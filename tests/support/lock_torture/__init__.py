"""The torture of the locks, in parts; `run` begins it. What inherits a lock imports from here without any library."""
