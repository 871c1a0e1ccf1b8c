"""What survives the process: the journal, the lease, the paper venue's records. The only user of sqlite3."""
