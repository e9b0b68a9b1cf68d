"""The protocol of the locks as Promela models, and what spin has to find in them; see `README.md` beside this file."""
