"""What survives the process: journal, lease, the paper venue's records. Alone with sqlite3."""
