"""Slack messages: how one looks (`rendering`), Slack's own rules (`blocks`), and one file for each way to post."""
