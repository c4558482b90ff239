"""The toolbox of the control plane: database, jobs, objects, settings, logging, telemetry, outbox.

Each subpackage is a door of its own (``arkwright.kit.db``, ``arkwright.kit.objects``, ...), so that a data
plane can use the settings and the object store without loading a database driver.
"""
