"""What an app's own migrator did to the database: the turn it is run in, its checks, its rows in the ledger."""
