"""How types and shapes are checked under pytest: by beartype, and an integer may stand for a float."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
