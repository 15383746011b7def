"""The work behind commands: trace, connect, reload, retention, whatif. Options and output belong to `cli/`."""
