"""Begin the ledger of a database whose schema was there first, once it has proved it."""
