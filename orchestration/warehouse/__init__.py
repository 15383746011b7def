"""The warehouse: reading, writing, building and publishing it. The only room that knows where and what it is."""
