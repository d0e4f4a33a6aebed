"""New plugin: a complete package around one small component of a kind, for its author to fill with a better one.

The module of each kind here is what such a package begins with; `Mine` and `MINE` in it become the author's names. Nothing of
sslkit uses them: they are read as text.
"""
