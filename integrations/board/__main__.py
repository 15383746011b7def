"""`python -m integrations.board`: the board alone, with the settings of the environment."""

from integrations.board.server import serve

if __name__ == "__main__":
    serve()
