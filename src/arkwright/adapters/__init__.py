"""One file per external system: what the rooms' ports mean in somebody else's words.

Only the composition root (``arkwright.server``) picks an adapter. Each passes its port's suite in
``arkwright.testing``.
"""
