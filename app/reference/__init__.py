"""Documentation that is made from the code: the OpenAPI document, the page at /docs, and the tables of the README."""
