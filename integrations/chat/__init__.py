"""Chat messages: what one says (`message`), and one file per destination."""
