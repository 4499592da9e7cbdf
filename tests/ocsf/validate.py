"""Judges OCSF events: one JSON object a line on standard input, one verdict a line out.

A verdict is "valid", or what is wrong, with faults separated by " | ". Every event is held to
the schema version, class and profiles that it names itself.
"""

import functools
import json
import sys

import jsonschema
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema


@functools.cache
def framework(version):
    return get_ocsf_schema(version=version)


@functools.cache
def validator(version, class_uid, profiles):
    schemas = OcsfJsonSchemaEmbedded(framework(version))
    name = schemas.lookup_class_name_from_uid(class_uid)
    schema = schemas.get_class_schema(name, list(profiles))
    jsonschema.Draft202012Validator.check_schema(schema)
    return name, jsonschema.Draft202012Validator(schema)


def conventions(version, item, value, path):
    """What OCSF asks for and JSON Schema cannot say: nothing deprecated is used, and the caption
    beside an enumerated id is the id's own."""
    for name, held in value.items():
        attribute = item["attributes"].get(name)
        if attribute is None:
            continue
        here = f"{path}.{name}" if path else name
        if "@deprecated" in attribute:
            yield f"{here}: deprecated"
        sibling = value.get(attribute.get("sibling"))
        known = (attribute.get("enum") or {}).get(str(held))
        if sibling is not None and known and held != 99 and sibling != known["caption"]:
            yield f"{here}: {held} is {known['caption']}, not {sibling}"
        if attribute["type"] == "object_t":
            inner = framework(version)["objects"][attribute["object_type"]]
            for n, part in enumerate(held if isinstance(held, list) else [held]):
                at = f"{here}[{n}]" if isinstance(held, list) else here
                yield from conventions(version, inner, part, at)


def faults(event):
    metadata = event["metadata"]
    version = metadata["version"]
    profiles = tuple(metadata.get("profiles", []))
    name, schema = validator(version, event["class_uid"], profiles)
    found = [f"{error.json_path}: {error.message}" for error in schema.iter_errors(event)]
    if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
        found.append("type_uid: not of this class and activity")
    return found or list(conventions(version, framework(version)["classes"][name], event, ""))


for line in sys.stdin:
    try:
        found = faults(json.loads(line))
    except (KeyError, OSError, TypeError, ValueError) as error:
        found = [f"cannot be judged: {error!r}"]
    verdict = " | ".join(found) or "valid"
    print(" ".join(verdict.split()))
