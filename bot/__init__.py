"""Verso's house: where the three trades meet people.

`cli` and `platforms` translate what people do into values of `conversation`; `usecases` act on
them through the trades (`generation`, `moderation`, `attribution`); `replies` chooses the words.
`compose` is the only module that names concrete classes; `settings` is the only one that reads
the environment; `database` opens SQLite or PostgreSQL.
"""
