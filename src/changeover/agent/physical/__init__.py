"""The whole database server kept by pgBackRest, and brought back to a moment beside the live one."""
