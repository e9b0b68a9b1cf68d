"""One module per verb: a request in, a report out. Verbs read like a recipe; nothing below them prints or exits.

Import the module of the verb that is wanted: importing one does not load the others.
"""

__all__: list[str] = []
