"""Slack messages: how one looks (`rendering`), Slack's rules (`blocks`), and a file for each way to post."""
