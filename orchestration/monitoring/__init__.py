"""What may be wrong: incidents, unseen fields, unusual days, silent sources. Who is told belongs to the outbox."""
