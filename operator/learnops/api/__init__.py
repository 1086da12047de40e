"""The custom resources as pydantic models. The CRD YAML in `crds/` is generated from them."""
