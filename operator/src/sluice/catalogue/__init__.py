"""The control catalogue for people: which framework asks for what, and the reference page."""
