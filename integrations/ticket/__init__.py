"""Tickets: how one looks (`rendering`), and one file for each system that takes them."""
