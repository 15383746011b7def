"""Floor 1: HTTP, signatures, and the landing store. Takes webhooks in, makes them durable, answers.

Nothing of integrations or orchestration belongs here, and no meaning beyond the envelope of an event.
"""
