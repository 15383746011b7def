"""`python -m receiver`: the receiver alone, with the settings of the environment."""

from receiver.serve import serve

if __name__ == "__main__":
    serve()
