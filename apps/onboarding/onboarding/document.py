"""What the document of the routes says of bodies and answers; the routes make and check them themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Security
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from .progress import STATUSES

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue

JSON = "application/json"
# It says so in the document; who asks is found out by the door.
SIGNED = [Security(HTTPBearer(auto_error=False, scheme_name="token"))]
Percent = Annotated[int, Field(ge=0, le=100)]
PROGRESS: JsonSchemaValue = {
    "type": "object",
    "required": ["status"],
    "properties": {"status": {"enum": list(STATUSES)}},
}


class Said(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(extra="forbid")


class Answer(Said):
    """What every answer carries."""

    correlationId: str  # noqa: N815 - as the API names it


class Well(Said):
    """The process answers."""

    status: Literal["ok"]
    version: str


class Reached(Said):
    """Whether the database answers."""

    status: Literal["ok", "down"]


class Failed(Answer):
    """A request that was not answered."""

    error: str


class Broken(Failed):
    """A failure of ours."""

    message: str


class StepNotFound(Failed):
    """There is no such step."""

    stepId: str  # noqa: N815 - as the API names it


class Unfit(Failed):
    """A request that cannot be meant, and why."""

    errors: list[str]


class Step(Said):
    """A step as a user sees it."""

    stepId: str  # noqa: N815 - as the API names it
    version: int
    title: str
    description: str
    required: bool
    weight: int
    status: str


class Steps(Answer):
    """A user's steps."""

    steps: list[Step]
    percent: Percent


class Made(Answer):
    """A user's progress on a step."""

    stepId: str  # noqa: N815 - as the API names it
    version: int
    status: Literal["todo", "done", "skipped"]
    percent: Percent


def asks(schema: JsonSchemaValue) -> dict[str, Any]:
    """Return what a route's document says of the body that it wants."""
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}


def answers(models: dict[int, Any]) -> dict[int | str, dict[str, Any]]:
    """Return what a route's document says of its answers, by status, and of failures that all routes have."""
    return {
        status: {"model": each} for status, each in {401: Failed, 500: Broken, **models}.items()
    }
