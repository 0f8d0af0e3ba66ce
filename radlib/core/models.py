"""The base of what is read from a file that a person wrote."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A frozen model that refuses a key it does not know, so that a misspelt one is named."""

    model_config = ConfigDict(extra="forbid", frozen=True)
