"""Fitted models of other libraries as encoders and evaluators of our own.

Nothing of those libraries is imported: a fitted object is known by its class's name and read by its attributes, in
the process that was allowed to load it.
"""
