"""`python -m tests.receiver.impatient`: a receiver that waits a second for a head, and as long when nothing comes."""

from receiver import serve

if __name__ == "__main__":
    serve.HEADER_SECONDS = 1
    serve.serve()
