"""What the shapes of all platforms are made of."""

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """Part of a body as documented: fields that are relied on, in the types they come in.

    A field more is no misfit, since documents name more than is relied on; one less, or one of another type, is.
    What may be absent may also be null.
    """

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)
