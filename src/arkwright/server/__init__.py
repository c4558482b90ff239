"""The control plane: it decides; the data planes serve.

``app`` is the HTTP application, ``worker`` runs the durable jobs, ``composition`` alone picks adapters.
"""
