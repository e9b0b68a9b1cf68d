"""Clients that others wrote, each a process of its own, with a real `grex serve`.

`make mcp-clients` installs those that are no Python packages into `build/mcp-clients`; MCP_CLIENTS names another place.
Every client holds the same conversation (`scenario.mjs`, and `python_client.py` in Python) and prints one line of JSON
with what it saw; `recorder.sh` between it and the server keeps what went over the wire. `test_clients.py` judges both.
"""
