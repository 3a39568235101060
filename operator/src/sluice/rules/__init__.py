"""Rules: a process of its own that evaluates the CEL rules of policies, and can do nothing else.

The only package that imports the CEL library, which is C++: a rule that breaks it breaks this process, and not the
operator.
"""
