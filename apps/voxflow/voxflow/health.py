"""What asks whether the app is well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from fastapi.responses import JSONResponse

if TYPE_CHECKING:
    from fastapi import FastAPI

    from .database import Database

LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Health:
    """What a health check asks."""

    database: Database
    version: str

    def of_process(self) -> dict[str, str]:
        """Tell that the process answers."""
        return {"status": "ok", "version": self.version}

    def of_database(self) -> JSONResponse:
        """Tell whether the database answers."""
        try:
            with self.database.for_everybody(LOOK_SECONDS) as connection:
                connection.execute("SELECT 1")
        except (psycopg.Error, OSError):
            return JSONResponse({"status": "down"}, 503)
        return JSONResponse({"status": "ok"})

    def add(self, app: FastAPI) -> None:
        """Give an app these routes."""
        app.get("/health", tags=["health"])(self.of_process)
        app.get("/health/db", response_model=None, tags=["health"])(self.of_database)
