"""A receiver whose timeouts for a head and for silence are one second; `python -m` starts it."""

from receiver import serve

if __name__ == "__main__":
    serve.HEADER_SECONDS = 1
    serve.serve()
