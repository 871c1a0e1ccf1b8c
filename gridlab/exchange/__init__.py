"""Venues: the protocol they all speak, the paper venue, recorded prices, injected faults."""
