"""Callbacks: signed, retried, bounded deliveries of routing's outcomes to CRMs."""
