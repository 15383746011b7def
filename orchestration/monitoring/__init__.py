"""What may be wrong: incidents, unseen fields, unusual days, stale sources. Whom alerts go to belongs to the outbox."""
