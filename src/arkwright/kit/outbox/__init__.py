"""Delivery of events: at least once, to every subscriber, with retries."""

from arkwright.kit.outbox.dispatcher import OutboxDispatcher, Subscriber

__all__ = ["OutboxDispatcher", "Subscriber"]
