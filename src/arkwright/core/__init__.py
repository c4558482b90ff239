"""The ground floor: identifiers, errors, events, clock and context.

Everything here is pure: no file, no network, no database, no third-party package.
Every other room may import it; it imports nothing of the house.
"""
