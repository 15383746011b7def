"""Slack's own rules: its Web API, its blocks, its error codes. What a message says belongs to `integrations.chat`."""
