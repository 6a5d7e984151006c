"""Senders of alarms: one module for each kind of channel."""
