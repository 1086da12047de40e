"""The demo: the whole product on one machine, against agents whose truth is known."""
