#!/usr/bin/env python3
"""Checks JSON against a JSON Schema: `json_schema.py SCHEMA FILE...`; exit code 1 and a line for each fault.

It knows what the schemas of Grafana and Compose use, and refuses a schema with anything else, so that nothing is
passed over in silence. Python's standard library has no such check, and packages for it bring a dozen others.
"""

import json
import re
import sys

KINDS = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}

# What says nothing about a value.
ANNOTATIONS = {"$schema", "$id", "id", "title", "description", "default", "definitions", "$defs", "format", "deprecated", "examples"}


def is_kind(value, kind):
    if kind == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "integer":
        return is_kind(value, "number") and float(value).is_integer()
    return isinstance(value, KINDS[kind])


class Schema:
    def __init__(self, root):
        self.root = root

    def faults(self, value, schema=None, path="$"):
        """Everything that is wrong with a value, with its path."""
        schema = self.root if schema is None else schema
        if isinstance(schema, bool):
            return [] if schema else [f"{path}: nothing may be here"]
        found = []
        for keyword, wanted in schema.items():
            if keyword in ANNOTATIONS or keyword.startswith("x-"):
                continue
            check = getattr(self, "check_" + keyword.lstrip("$"), None)
            if check is None:
                sys.exit(f"the schema uses {keyword}, which this check does not know")
            found += check(value, wanted, path, schema)
        return found

    def check_ref(self, value, wanted, path, _):
        return self.faults(value, self.resolve(wanted), path)

    def check_type(self, value, wanted, path, _):
        kinds = wanted if isinstance(wanted, list) else [wanted]
        return [] if any(is_kind(value, kind) for kind in kinds) else [f"{path}: {json.dumps(value)[:60]} is not of type {wanted}"]

    def check_enum(self, value, wanted, path, _):
        return [] if value in wanted else [f"{path}: {value!r} is none of {wanted}"]

    def check_const(self, value, wanted, path, _):
        return [] if value == wanted else [f"{path}: {value!r} is not {wanted!r}"]

    def check_required(self, value, wanted, path, _):
        return [f"{path}: {name} is missing" for name in wanted if isinstance(value, dict) and name not in value]

    def check_properties(self, value, wanted, path, _):
        if not isinstance(value, dict):
            return []
        return [fault for name, schema in wanted.items() if name in value for fault in self.faults(value[name], schema, f"{path}.{name}")]

    def check_patternProperties(self, value, wanted, path, _):
        if not isinstance(value, dict):
            return []
        pairs = ((name, schema) for pattern, schema in wanted.items() for name in value if re.search(pattern, name))
        return [fault for name, schema in pairs for fault in self.faults(value[name], schema, f"{path}.{name}")]

    def check_additionalProperties(self, value, wanted, path, schema):
        if not isinstance(value, dict):
            return []
        patterns = schema.get("patternProperties", {})
        others = [n for n in value if n not in schema.get("properties", {}) and not any(re.search(p, n) for p in patterns)]
        if wanted is False:
            return [f"{path}: {name} is not a key of it" for name in others]
        return [fault for name in others for fault in self.faults(value[name], wanted, f"{path}.{name}")]

    def check_propertyNames(self, value, wanted, path, _):
        names = value if isinstance(value, dict) else []
        return [fault for name in names for fault in self.faults(name, wanted, f"{path}.{name}")]

    def check_items(self, value, wanted, path, _):
        if not isinstance(value, list):
            return []
        return [fault for i, element in enumerate(value) for fault in self.faults(element, wanted, f"{path}[{i}]")]

    def check_uniqueItems(self, value, wanted, path, _):
        texts = [json.dumps(element, sort_keys=True) for element in value] if isinstance(value, list) else []
        return [f"{path}: an element is there twice"] if wanted and len(texts) != len(set(texts)) else []

    def check_minItems(self, value, wanted, path, _):
        return [f"{path}: fewer than {wanted} elements"] if isinstance(value, list) and len(value) < wanted else []

    def check_maxItems(self, value, wanted, path, _):
        return [f"{path}: more than {wanted} elements"] if isinstance(value, list) and len(value) > wanted else []

    def check_minLength(self, value, wanted, path, _):
        return [f"{path}: shorter than {wanted}"] if isinstance(value, str) and len(value) < wanted else []

    def check_pattern(self, value, wanted, path, _):
        return [f"{path}: {value!r} is not like {wanted}"] if isinstance(value, str) and not re.search(wanted, value) else []

    def check_minimum(self, value, wanted, path, _):
        return [f"{path}: {value} is below {wanted}"] if is_kind(value, "number") and value < wanted else []

    def check_maximum(self, value, wanted, path, _):
        return [f"{path}: {value} is above {wanted}"] if is_kind(value, "number") and value > wanted else []

    def check_exclusiveMinimum(self, value, wanted, path, _):
        return [f"{path}: {value} is not above {wanted}"] if is_kind(value, "number") and value <= wanted else []

    def check_exclusiveMaximum(self, value, wanted, path, _):
        return [f"{path}: {value} is not below {wanted}"] if is_kind(value, "number") and value >= wanted else []

    def check_allOf(self, value, wanted, path, _):
        return [fault for schema in wanted for fault in self.faults(value, schema, path)]

    def check_anyOf(self, value, wanted, path, _):
        return self.best([self.faults(value, schema, path) for schema in wanted])

    def check_oneOf(self, value, wanted, path, _):
        tried = [self.faults(value, schema, path) for schema in wanted]
        if sum(not faults for faults in tried) > 1:
            return [f"{path}: fits more than one of {len(wanted)} forms"]
        return self.best(tried)

    def check_unevaluatedProperties(self, value, wanted, path, schema):
        if not isinstance(value, dict) or wanted is not False:
            return []
        names, patterns = self.known(schema)
        others = [name for name in value if name not in names and not any(re.search(pattern, name) for pattern in patterns)]
        return [f"{path}: {name} is not a key of it" for name in others]

    def known(self, schema):
        """Names and patterns of keys that a schema speaks of, with all that it is made of."""
        names, patterns = set(schema.get("properties", {})), set(schema.get("patternProperties", {}))
        parts = [part for keyword in ("allOf", "anyOf", "oneOf") for part in schema.get(keyword, [])]
        for part in parts + ([self.resolve(schema["$ref"])] if "$ref" in schema else []):
            more = self.known(part)
            names |= more[0]
            patterns |= more[1]
        return names, patterns

    def resolve(self, reference):
        place = self.root
        for step in reference.lstrip("#/").split("/") if reference != "#" else []:
            place = place[step]
        return place

    @staticmethod
    def best(tried):
        """Nothing if one form fits, else what is wrong with the one that comes nearest."""
        return min(tried, key=len)


def main():
    schema = Schema(json.load(open(sys.argv[1], encoding="utf-8")))
    faults = []
    for file in sys.argv[2:]:
        faults += [f"{file}: {fault}" for fault in schema.faults(json.load(open(file, encoding="utf-8")))]
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
