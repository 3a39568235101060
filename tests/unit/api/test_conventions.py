"""The CRDs keep the Kubernetes API conventions. The list is Kueue's, which the Kubernetes API linter enforces."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sluice.api.__main__ import main
from sluice.api.crds import KINDS, Kind
from sluice.api.markers import VALIDATIONS
from sluice.api.schema import Schema
from tests.unit.api.structural import walk

ROOT = Path(__file__).parents[3]

FIELDS = {
    f"{kind.name}:{path}": schema
    for kind in KINDS
    for part in ("spec", "status")
    for path, schema in walk(kind.schema()["properties"][part], part)
}
RULES = [
    (f"{kind.name}:{path}", schema, rule)
    for kind in KINDS
    for path, schema in walk(kind.schema(), "")
    for rule in schema.get(VALIDATIONS, ())
]

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def offenders(breaks: Callable[[Schema], object]) -> list[str]:
    """The paths of the fields that break a convention."""
    return [path for path, schema in FIELDS.items() if breaks(schema)]


def test_there_is_something_to_look_at() -> None:
    assert len(FIELDS) > 250
    assert {"ModelDeployment:spec.rollout.steps[].shadow.hold", "ModelMonitor:spec.parameters{}"} <= FIELDS.keys()


def test_every_field_is_described_in_whole_sentences() -> None:
    def undescribed(path: str) -> bool:
        return re.fullmatch(r"[A-Z].*[.)]", FIELDS[path].get("description", "")) is None

    # The items of a list of scalars and of a map are described by the list and the map.
    assert [path for path in FIELDS if not path.endswith(("[]", "{}")) and undescribed(path)] == []


def test_descriptions_are_one_line_without_markup() -> None:
    assert offenders(lambda schema: re.search(r"\n|``|:class:|  ", schema.get("description", ""))) == []


def test_there_are_no_booleans_for_an_enum_can_grow_a_third_word() -> None:
    assert offenders(lambda schema: schema.get("type") == "boolean") == []


def test_there_are_no_floats_for_they_do_not_survive_every_round_trip() -> None:
    assert offenders(lambda schema: schema.get("type") == "number") == []


def test_everything_that_can_grow_has_a_bound() -> None:
    def unbounded(schema: Schema) -> bool:
        match schema.get("type"):
            case "string":
                return not schema.keys() & {"maxLength", "enum"}
            case "array":
                return "maxItems" not in schema
            case "integer":
                return "minimum" not in schema
            case "object":
                return not schema.keys() & {"properties", "maxProperties"}
            case _:
                return not (schema["x-kubernetes-int-or-string"] and "maxLength" in schema)

    assert offenders(unbounded) == []


def test_objects_have_named_fields_or_are_maps_or_pass_through() -> None:
    shapes = {"properties", "additionalProperties", "x-kubernetes-preserve-unknown-fields"}
    assert offenders(lambda schema: schema.get("type") == "object" and not shapes & schema.keys()) == []


def test_only_the_predictor_passes_through_what_we_do_not_know() -> None:
    assert offenders(lambda schema: "x-kubernetes-preserve-unknown-fields" in schema) == [
        "ModelDeployment:spec.serving.predictor",
        "ModelRevision:spec.serving.predictor",
    ]


def test_every_list_says_how_it_is_merged() -> None:
    def unsaid(schema: Schema) -> bool:
        if schema.get("type") != "array":
            return False
        merged = schema.get("x-kubernetes-list-type")
        keys = set(schema.get("x-kubernetes-list-map-keys", ()))
        by_key = merged == "map" and keys and keys <= set(schema["items"]["required"])
        return not (merged in {"atomic", "set"} or by_key)

    assert offenders(unsaid) == []


def test_enums_are_pascal_case() -> None:
    word = re.compile(r"([A-Z][a-z0-9]*)+")
    assert offenders(lambda schema: not all(map(word.fullmatch, schema.get("enum", ())))) == []


def test_field_names_are_camel_case() -> None:
    name = re.compile(r"[a-z][a-zA-Z]*")
    assert offenders(lambda schema: not all(map(name.fullmatch, schema.get("properties", ())))) == []


def test_what_has_a_default_is_not_required() -> None:
    def contradictory(schema: Schema) -> bool:
        fields = schema.get("properties", {})
        return any("default" in fields[name] for name in schema.get("required", ()))

    assert offenders(contradictory) == []


def test_a_status_has_no_defaults() -> None:
    assert [path for path, schema in FIELDS.items() if ":status" in path and "default" in schema] == []


def test_every_rule_says_in_words_what_to_do() -> None:
    advice = re.compile(r"\b(must|give|goes|go with|is exactly|needs|never)\b")
    silent = [path for path, _, rule in RULES if not advice.search(rule["message"])]
    formal = [path for path, _, rule in RULES if re.search(r"\bself\b|has\(|\.$", rule["message"])]

    assert silent == []
    assert formal == []


def test_every_rule_speaks_of_fields_that_exist() -> None:
    for path, schema, rule in RULES:
        spoken_of = set(re.findall(r"\bself\.([a-z]\w*)\b(?!\()", rule["rule"]))
        assert spoken_of <= schema.get("properties", {}).keys(), path
        assert resolves(schema, rule.get("fieldPath", "")), path


@every_kind
def test_conditions_come_first_in_the_status_and_are_merged_by_type(kind: Kind) -> None:
    name, conditions = next(iter(kind.schema()["properties"]["status"]["properties"].items()))

    assert name == "conditions"
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    assert conditions["maxItems"] == 16
    assert set(conditions["items"]["required"]) == {"type", "status", "reason", "lastTransitionTime"}


@every_kind
def test_the_status_is_a_subresource_and_optional_and_the_spec_is_required(kind: Kind) -> None:
    version = kind.manifest()["spec"]["versions"][0]

    assert version["subresources"] == {"status": {}}
    assert version["schema"]["openAPIV3Schema"]["required"] == ["spec"]
    assert "required" not in version["schema"]["openAPIV3Schema"]["properties"]["status"]


@every_kind
def test_every_kind_is_found_by_short_name_and_category(kind: Kind) -> None:
    names = kind.manifest()["spec"]["names"]

    assert names["categories"] == ["sluice"]
    assert names["shortNames"] == [kind.short_name]


def test_names_are_not_shared() -> None:
    names = [name for kind in KINDS for name in (kind.short_name, kind.singular, kind.plural)]
    assert len(names) == len(set(names))


@every_kind
def test_every_column_shows_a_field_that_exists(kind: Kind) -> None:
    paths = [column.path for column in kind.columns]
    assert [path for path in paths if path != ".metadata.creationTimestamp" and not resolves(kind.schema(), path)] == []


@every_kind
def test_age_is_the_last_column_as_everywhere(kind: Kind) -> None:
    assert kind.columns[-1].name == "Age"


@every_kind
def test_selectable_fields_exist(kind: Kind) -> None:
    assert all(resolves(kind.schema(), path) for path in kind.selectable)


def resolves(schema: Schema, path: str) -> bool:
    """Whether a JSON path such as ``.status.conditions[?(@.type=="Ready")].reason`` leads to a field."""
    for part in filter(None, re.sub(r"\[\?\(.*?\)\]", ".[]", path).split(".")):
        inner = schema.get("items") if part == "[]" else schema.get("properties", {}).get(part)
        if inner is None:
            return False
        schema = inner
    return True


def test_the_files_in_the_repository_are_those_that_the_models_make() -> None:
    assert main([str(ROOT / "crds"), "--docs", str(ROOT / "docs/reference/api.md"), "--check"]) == 0


def test_a_file_that_differs_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(tmp_path)])
    changed = tmp_path / "sluice.dev_modelrevisions.yaml"
    changed.write_text(changed.read_text(encoding="utf-8").replace("maximum: 99999", "maximum: 9"), encoding="utf-8")
    (tmp_path / "sluice.dev_modelmonitors.yaml").unlink()

    assert main([str(tmp_path), "--check"]) == 1
    said = capsys.readouterr().err
    assert "sluice.dev_modelrevisions.yaml differs" in said
    assert "sluice.dev_modelmonitors.yaml differs" in said
    assert "modeldeployments" not in said


def test_the_reference_names_every_kind_and_every_field() -> None:
    text = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")

    for kind in KINDS:
        assert f"\n## {kind.name}\n" in text
        for _, schema in walk(kind.schema(), ""):
            for name in schema.get("properties", ()):
                assert f"`{name}`" in text or name in {"apiVersion", "kind", "metadata", "spec", "status"}


def test_every_link_of_the_reference_leads_to_a_heading() -> None:
    text = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9_-]", "", heading.lower().replace(" ", "-")) for heading in headings}

    links = set(re.findall(r"\(#([^)]*)\)", text))
    assert links
    assert links <= anchors
