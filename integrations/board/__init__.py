"""The live board: a web page that shows the calls of the moment, the day's numbers and what needs a person.

Reads the landing store, the published marts and the outbox; writes only what a person asks of an action. Loading,
building and sending belong elsewhere.
"""
