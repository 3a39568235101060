"""The Kubernetes API of Sluice: typed resources, and their export to CustomResourceDefinitions.

This package imports nothing else of Sluice. Everything here is data: frozen pydantic models whose
JSON form is exactly what ``kubectl get -o json`` shows.
"""

GROUP = "sluice.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
