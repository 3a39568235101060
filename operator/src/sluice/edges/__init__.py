"""The edges: all input and output. Each module talks to one thing and decides nothing."""
