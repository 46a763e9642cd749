"""The OpenAPI schema: examples, tokens, responses."""

from __future__ import annotations

from tagger.api import app
from tagger.service import schemas


def test_the_examples_fit_their_models() -> None:
    components = app.openapi()["components"]["schemas"]
    for example in components["Answer"]["examples"]:
        assert schemas.Answer.model_validate(example, strict=True)
        assert set(components["Answer"]["required"]) <= set(example)
        assert example["unknown"] == (example["label"] is None)
    assert schemas.Reload.model_validate(components["Reload"]["examples"][0])


def test_each_route_names_its_token_and_its_response() -> None:
    schema = app.openapi()
    assert schema["paths"]["/predict"]["post"]["requestBody"]
    assert set(schema["components"]["securitySchemes"]) == {"predict", "admin"}
    tokens: dict[str, set[str]] = {}
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            tokens[path] = {name for option in operation["security"] for name in option}
            assert operation["responses"]["200"]["content"], path
    for path in ("/model/reload", "/library/photos", "/library/photos/{id}/tags"):
        assert tokens.pop(path) == {"admin"}
    assert {path for path, names in tokens.items() if not names} == {"/health", "/ready", "/ping"}
