"""Changes to the code that must each make a named test fail; `python -m tests.mutants` applies them one by one."""
