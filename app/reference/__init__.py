"""What is documented by the code itself: the OpenAPI document, the page at /docs, and the tables of the README."""
