"""Named doubles and small servers that tests share."""
