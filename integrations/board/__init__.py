"""The live board: a web page that shows the calls of the moment, the day's numbers and what needs a person.

Reads the landing store, the published copy and the outbox; writes only what a person asks of an action. Loading,
building and sending belong elsewhere. `aftercall board` starts it and hands in the reader of the published copy.
"""
