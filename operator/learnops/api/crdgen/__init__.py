"""CRD YAML and the field reference, generated from the pydantic models of `learnops.api`.

Ours, because pydantic's own JSON schema is not structural (`$ref`, `anyOf` with null) and knows no
list types, CEL rules or printer columns. What a structural schema cannot express, or what our
conventions forbid, is refused by name instead of being approximated.
"""
