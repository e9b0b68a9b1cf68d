"""The pages of docs/ that a person types from."""
