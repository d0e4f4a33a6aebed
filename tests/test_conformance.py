"""Every built-in passes the checks of its kind."""

from sslkit.testing import conformance

test_dcl = conformance("losses", "dcl")
test_margin = conformance("losses", "margin")
test_nt_logistic = conformance("losses", "nt_logistic")
test_nt_xent = conformance("losses", "nt_xent")
test_sup_con = conformance("losses", "sup_con")
