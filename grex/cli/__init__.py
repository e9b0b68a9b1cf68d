"""The command line: options in, rendered reports out. It decides nothing that another front end would not decide."""

__all__: list[str] = []
