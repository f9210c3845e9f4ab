"""What the document of administrators' routes says; `wish` and `answers` check and make it."""

from __future__ import annotations

from typing import Any, Literal

from onboarding.document import Answer, Broken, Failed, Said, StepNotFound, Unfit, answers

from . import wish

VERSION = {"type": "integer", "minimum": 1, "maximum": wish.MOST_VERSION}
TEXT = {"type": "string", "maxLength": wish.MOST_CHARACTERS}
MIGRATION: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": list(wish.REQUIRED),
    "properties": {
        "stepId": {**TEXT, "minLength": 1},
        "fromVersion": VERSION,
        "toVersion": VERSION,
        "newStepData": {
            "type": ["object", "null"],
            "additionalProperties": False,
            "properties": {
                "title": TEXT,
                "description": TEXT,
                "required": {"type": "boolean"},
                "weight": {"type": "integer", "minimum": 0, "maximum": wish.MOST_WEIGHT},
                "roleVisibility": {"type": "array", "maxItems": wish.MOST_ROLES, "items": TEXT},
                "marketRule": {"type": "object"},
            },
        },
        "dryRun": {"type": "boolean", "default": False},
        "maxRetries": {
            "type": "integer",
            "minimum": 0,
            "maximum": wish.MOST_RETRIES,
            "default": wish.RETRIES,
        },
        "retryDelayMs": {
            "type": "integer",
            "minimum": 0,
            "maximum": wish.MOST_DELAY_MS,
            "default": wish.DELAY_MS,
        },
        "chunkSize": {"type": "integer", "minimum": 0, "maximum": wish.MOST_CHUNK},
    },
    "example": {"stepId": "payments", "fromVersion": 1, "toVersion": 2, "dryRun": True},
}
ASKED = {
    "oneOf": [
        MIGRATION,
        {"type": "array", "minItems": 1, "maxItems": wish.MOST_MIGRATIONS, "items": MIGRATION},
    ]
}
STEP = {
    "name": "stepId",
    "in": "query",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
    "example": "payments",
}


class Result(Said):
    """What one migration did, or would do."""

    stepId: str  # noqa: N815 - as the API names it
    fromVersion: int  # noqa: N815 - as the API names it
    toVersion: int  # noqa: N815 - as the API names it
    usersAffected: int  # noqa: N815 - as the API names it
    progressCopied: int  # noqa: N815 - as the API names it
    progressReset: int  # noqa: N815 - as the API names it
    warnings: list[str]
    dryRun: bool  # noqa: N815 - as the API names it
    duration: int
    timestamp: str


class Migrated(Answer):
    """A migration that was done."""

    success: Literal[True]
    message: str
    result: Result


class OfBatch(Said):
    """What became of one migration of a batch."""

    stepId: str  # noqa: N815 - as the API names it
    success: bool
    usersAffected: int  # noqa: N815 - as the API names it
    errors: list[str]
    warnings: list[str]


class Summary(Said):
    """How many of a batch were done."""

    total: int
    successful: int
    failed: int


class Batch(Answer):
    """A batch that was done."""

    success: Literal[True]
    message: str
    results: list[OfBatch]
    summary: Summary


class BatchFailed(Unfit):
    """A batch that was done up to the first migration that could not be."""

    success: Literal[False]
    message: str
    results: list[OfBatch]
    summary: Summary
    code: str


class BatchBroken(BatchFailed):
    """A batch that was done up to the first migration that failed."""

    warnings: list[str]


class Refused(Unfit):
    """A migration that cannot be done as it is asked for."""

    code: str


class MigrationFailed(Refused):
    """A migration that failed; nothing was written."""

    warnings: list[str]


class Missing(Failed):
    """What a migration has to say."""

    required: list[str]


class TooMany(Failed):
    """A batch of too many migrations."""

    max: int
    received: int


class OfStep(Said):
    """A version that a step has, or had."""

    version: int
    title: str
    required: bool
    weight: int
    activeFrom: str  # noqa: N815 - as the API names it
    activeTo: str | None  # noqa: N815 - as the API names it
    isActive: bool  # noqa: N815 - as the API names it
    createdAt: str  # noqa: N815 - as the API names it
    updatedAt: str  # noqa: N815 - as the API names it


class UnderWay(Said):
    """A migration that goes chunk by chunk and is not at its end."""

    fromVersion: int  # noqa: N815 - as the API names it
    toVersion: int  # noqa: N815 - as the API names it
    state: str
    done: int
    total: int
    askedBy: str  # noqa: N815 - as the API names it
    begunAt: str  # noqa: N815 - as the API names it
    correlationId: str  # noqa: N815 - as the API names it
    running: bool


class Removed(Said):
    """A migration that was called off, and what of it was taken away."""

    stepId: str  # noqa: N815 - as the API names it
    fromVersion: int  # noqa: N815 - as the API names it
    toVersion: int  # noqa: N815 - as the API names it
    progressRemoved: int  # noqa: N815 - as the API names it


class CalledOff(Answer):
    """A migration that was called off."""

    success: Literal[True]
    result: Removed


class Versions(Answer):
    """The versions of a step."""

    stepId: str  # noqa: N815 - as the API names it
    versions: list[OfStep]
    activeVersion: int | None  # noqa: N815 - as the API names it
    totalVersions: int  # noqa: N815 - as the API names it
    underWay: UnderWay | None = None  # noqa: N815 - as the API names it


MIGRATE_ANSWERS = answers(
    {
        200: Migrated | Batch,
        400: Failed | Unfit | Missing | TooMany | Refused | BatchFailed,
        403: Failed,
        500: Broken | MigrationFailed | BatchBroken,
    }
)
VERSIONS_ANSWERS = answers({200: Versions, 400: Failed, 403: Failed, 404: StepNotFound})
CALLED_OFF_ANSWERS = answers({200: CalledOff, 400: Failed | Unfit, 403: Failed, 404: StepNotFound})
